# SPDX-License-Identifier: GPL-2.0-only
# Completion of xbzimg for bash. Subcommands and options come from xbzimg --help.

_xbzimg() {
	local word=${COMP_WORDS[COMP_CWORD]} i command=''

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--threads | --zstd | --bitmap | --base | --unix | --port) i=$((i + 1)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--threads | --zstd | --bitmap | --port) return ;;
	--base | --unix)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac
	if [[ $word == -* ]]; then
		# Those that name commands are for these.
		mapfile -t COMPREPLY < <(compgen -W "$(xbzimg --help | awk -v command="$command" '
			/^  --/ && (command == "" || !/\(/ || $0 ~ "[(, ]" command "[,)]") {
				print $1 }')" -- "$word")
	elif [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(xbzimg --help |
			awk '/^  [a-z]/ { print $1 }')" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -o filenames -F _xbzimg xbzimg
