// SPDX-License-Identifier: GPL-2.0-only
/*
 * The offline optimum with whole copies. Keeping a page from one time it is sent to
 * the next takes a page of the cache for so long, and saves what the delta saves. So
 * the best choice is a set of intervals of the largest weight of which no more than
 * the cache has pages overlap at any moment: a flow of as many units along the line
 * of time that costs least, where an interval is an arc of capacity one. (Carlisle
 * and Lloyd, "On the k-coloring of intervals", 1995.) Successive shortest paths give
 * the optimum of each smaller cache on the way.
 */
#include "trace.h"
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>

struct interval {
	u32 from;
	u32 to;
	u32 weight;
	bool taken;
};

struct graph {
	u32 nodes;
	u32 nr;
	struct interval *arcs;
	/* By node: its intervals, first those that begin, then those that end. */
	u32 *first;
	u32 *list;
	/* Units on the way from each node to the next, outside intervals. */
	u32 *idle;
	int64_t *potential;
	int64_t *dist;
	u32 *via;
	u32 *heap;
	u32 *place;
	u32 heap_nr;
};

#define VIA_FORTH (~0U)
#define VIA_BACK (~0U - 1)
#define FAR (1LL << 60)

static void *need(size_t nr, size_t size)
{
	void *p = calloc(nr + 1, size);

	if (!p)
		die("no memory");
	return p;
}

static void heap_swap(struct graph *g, u32 a, u32 b)
{
	u32 x = g->heap[a], y = g->heap[b];

	g->heap[a] = y;
	g->heap[b] = x;
	g->place[y] = a + 1;
	g->place[x] = b + 1;
}

static void heap_up(struct graph *g, u32 i)
{
	while (i && g->dist[g->heap[i]] < g->dist[g->heap[(i - 1) / 2]]) {
		heap_swap(g, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static u32 heap_pop(struct graph *g)
{
	u32 top = g->heap[0], i = 0, child;

	heap_swap(g, 0, --g->heap_nr);
	g->place[top] = 0;
	while ((child = 2 * i + 1) < g->heap_nr) {
		if (child + 1 < g->heap_nr &&
		    g->dist[g->heap[child + 1]] < g->dist[g->heap[child]])
			child++;
		if (g->dist[g->heap[i]] <= g->dist[g->heap[child]])
			break;
		heap_swap(g, i, child);
		i = child;
	}
	return top;
}

static void relax(struct graph *g, u32 from, u32 to, int64_t cost, u32 via)
{
	int64_t dist = g->dist[from] + cost + g->potential[from] - g->potential[to];

	if (dist >= g->dist[to])
		return;
	g->dist[to] = dist;
	g->via[to] = via;
	if (!g->place[to]) {
		g->heap[g->heap_nr] = to;
		g->place[to] = ++g->heap_nr;
	}
	heap_up(g, g->place[to] - 1);
}

static void visit(struct graph *g, u32 node)
{
	u32 i;

	if (node + 1 < g->nodes)
		relax(g, node, node + 1, 0, VIA_FORTH);
	if (node && g->idle[node - 1])
		relax(g, node, node - 1, 0, VIA_BACK);
	for (i = g->first[node]; i < g->first[node + 1]; i++) {
		struct interval *a = &g->arcs[g->list[i]];

		if (a->from == node && !a->taken)
			relax(g, node, a->to, -(int64_t)a->weight, g->list[i]);
		else if (a->to == node && a->taken)
			relax(g, node, a->from, a->weight, g->list[i]);
	}
}

/* One more unit along the cheapest path; what it saves. */
static int64_t augment(struct graph *g)
{
	u32 last = g->nodes - 1, node, i;
	int64_t end;

	for (i = 0; i < g->nodes; i++)
		g->dist[i] = FAR;
	for (i = 0; i < g->heap_nr; i++)
		g->place[g->heap[i]] = 0;
	g->heap_nr = 1;
	g->heap[0] = 0;
	g->place[0] = 1;
	g->dist[0] = 0;
	while (g->heap_nr) {
		node = heap_pop(g);
		if (node == last)
			break;
		visit(g, node);
	}
	end = g->dist[last];
	for (i = 0; i < g->nodes; i++)
		g->potential[i] += g->dist[i] < end ? g->dist[i] : end;
	for (node = last; node;) {
		u32 via = g->via[node];

		if (via == VIA_FORTH) {
			g->idle[--node]++;
		} else if (via == VIA_BACK) {
			g->idle[node++]--;
		} else {
			struct interval *a = &g->arcs[via];

			a->taken = !a->taken;
			node = a->taken ? a->from : a->to;
		}
	}
	return g->potential[0] - g->potential[last];
}

/* The shortest paths before any unit flows: the line of time has no cycle. */
static void first_potentials(struct graph *g)
{
	u32 node, i;

	for (node = 0; node < g->nodes; node++)
		g->potential[node] = FAR;
	g->potential[0] = 0;
	for (node = 0; node + 1 < g->nodes; node++) {
		if (g->potential[node] < g->potential[node + 1])
			g->potential[node + 1] = g->potential[node];
		for (i = g->first[node]; i < g->first[node + 1]; i++) {
			struct interval *a = &g->arcs[g->list[i]];
			int64_t there = g->potential[node] - a->weight;

			if (a->from == node && there < g->potential[a->to])
				g->potential[a->to] = there;
		}
	}
}

/* What a copy saves over what can be had without one. */
static u32 weight(const struct trace *t, u32 i, bool first)
{
	const struct event *e = &t->events[i], *next;

	if (e->zero || e->next == NO_EVENT || (e->pass == 1 && !first))
		return 0;
	next = &t->events[e->next];
	return next->delta < next->plain ? next->plain - next->delta : 0;
}

static void build(struct graph *g, const struct trace *t, bool first)
{
	u32 *node = need(t->nr, sizeof(*node));
	u32 i, a;

	for (i = 0; i < t->nr; i++) {
		const struct event *e = &t->events[i];

		if (!weight(t, i, first))
			continue;
		node[i] = 1;
		node[e->next] = 1;
		g->nr++;
	}
	for (i = 0; i < t->nr; i++)
		node[i] = node[i] ? g->nodes++ : 0;
	g->arcs = need(g->nr, sizeof(*g->arcs));
	g->first = need(g->nodes + 1, sizeof(*g->first));
	g->list = need(2 * g->nr, sizeof(*g->list));
	g->idle = need(g->nodes, sizeof(*g->idle));
	g->potential = need(g->nodes, sizeof(*g->potential));
	g->dist = need(g->nodes, sizeof(*g->dist));
	g->via = need(g->nodes, sizeof(*g->via));
	g->heap = need(g->nodes, sizeof(*g->heap));
	g->place = need(g->nodes, sizeof(*g->place));
	for (i = 0, a = 0; i < t->nr; i++) {
		const struct event *e = &t->events[i];
		u32 w = weight(t, i, first);

		if (!w)
			continue;
		g->arcs[a++] = (struct interval){ node[i], node[e->next], w, false };
		g->first[node[i] + 1]++;
		g->first[node[e->next] + 1]++;
	}
	for (i = 0; i < g->nodes; i++)
		g->first[i + 1] += g->first[i];
	for (a = 0; a < g->nr; a++) {
		g->list[g->first[g->arcs[a].from] + g->place[g->arcs[a].from]++] = a;
		g->list[g->first[g->arcs[a].to] + g->place[g->arcs[a].to]++] = a;
	}
	memset(g->place, 0, g->nodes * sizeof(*g->place));
	free(node);
}

void trace_optimum(const struct trace *t, bool first, const u32 *sizes,
		   unsigned int nr, u64 *saved)
{
	struct graph g = { 0 };
	bool more = true;
	unsigned int i;
	u64 sum = 0;
	u32 units = 0;

	build(&g, t, first);
	if (g.nodes)
		first_potentials(&g);
	for (i = 0; i < nr; i++) {
		while (g.nodes && more && units < sizes[i]) {
			int64_t gain = augment(&g);

			sum += gain;
			units++;
			more = gain > 0;
		}
		saved[i] = sum;
	}
	free(g.arcs);
	free(g.first);
	free(g.list);
	free(g.idle);
	free(g.potential);
	free(g.dist);
	free(g.via);
	free(g.heap);
	free(g.place);
}
