# SPDX-License-Identifier: GPL-2.0-only
# Completion of xbzctl for bash. Subcommands and options come from xbzctl --help,
# sessions from xbzctl list.

_xbzctl_sessions() {
	xbzctl list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_xbzctl() {
	local word=${COMP_WORDS[COMP_CWORD]} i command='' at=0

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--device) i=$((i + 1)) ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			at=$i
			break
			;;
		esac
	done

	if [ "${COMP_WORDS[COMP_CWORD - 1]}" = --device ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(xbzctl --help |
			awk '/^  [a-z-]/ { print $1 }')" -- "$word")
	else
		case $command,$((COMP_CWORD - at)),${COMP_WORDS[at + 1]} in
		show,1,* | flush,1,* | stats,1,* | cache,3,size)
			mapfile -t COMPREPLY < <(compgen -W "$(_xbzctl_sessions)" -- "$word")
			;;
		apply,1,*)
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			;;
		cache,1,*)
			mapfile -t COMPREPLY < <(compgen -W 'size limit share' -- "$word")
			;;
		monitor,1,*)
			mapfile -t COMPREPLY < <(compgen -W '-n' -- "$word")
			;;
		bench,[135],*)
			mapfile -t COMPREPLY < <(compgen -W '-m -q -t' -- "$word")
			;;
		forecast,[13],*)
			mapfile -t COMPREPLY < <(compgen -W "-l $(_xbzctl_sessions)" -- "$word")
			;;
		top,[135],*)
			mapfile -t COMPREPLY < <(compgen -W '-d -l -n' -- "$word")
			;;
		esac
	fi
}

complete -F _xbzctl xbzctl
