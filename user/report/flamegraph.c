/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/flamegraph.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "model/stall.h"
#include "report/flamegraph_draw.h"
#include "report/flamegraph_table.h"
#include "report/markup.h"
#include "report/words.h"

/* The assembler takes them in as they are: they stay files that editors and linters know. */
#define EMBED(name, path)                                                                          \
	__asm__(".pushsection .rodata\n" #name ":\n.incbin \"" path "\"\n" #name                   \
		"_end:\n.byte 0\n.popsection\n");                                                  \
	extern const char name[] __attribute__((visibility("hidden")));                            \
	extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(flamegraph_js, "user/report/flamegraph.js");
EMBED(flamegraph_css, "user/report/flamegraph.css");

#define ROW_PX	      20
#define MARGIN_PX     16
#define LINE_PX	      19
#define LEGEND_TOP_PX 64 /* without a subtitle above it */
#define GRAPH_TOP_PX  90
#define TEXT_MIN_PX   22 /* a narrower frame has no room for a letter and the dots after it */
#define EDGE_MIN_PX   3	 /* a narrower one would be all edge */

/* What a colour means; `css` is the frame's class. */
struct legend {
	const char *css, *words;
	bool used;
};

enum legend_kind { LEGEND_LIBRARY = FLAME_KIND_CNT, LEGEND_CNT };

static const struct legend legends[LEGEND_CNT] = {
	[FLAME_PROCESS] = {"process", "process", false},
	[FLAME_LOOP] = {"loop", "event loop", false},
	[FLAME_THREAD] = {"thread", "thread", false},
	[FLAME_TASK] = {"task", "task", false},
	[FLAME_CALLBACK] = {"callback", "callback", false},
	[FLAME_PYTHON] = {"python", "Python", false},
	[LEGEND_LIBRARY] = {"library", "Python library", false},
	[FLAME_NATIVE] = {"native", "native", false},
	[FLAME_KERNEL] = {"kernel", "kernel", false},
	[FLAME_WAIT] = {"wait", "waiting", false},
	[FLAME_IDLE] = {"idle", "idle", false},
};

/* Of a comparison: how much of the larger one the change is, in steps. */
static const struct legend changes[] = {
	{"shrunk4", "gone", false},	   {"shrunk2", "less time", false},
	{"same", "about the same", false}, {"grown2", "more time", false},
	{"grown4", "new", false},
};

static const char *frame_class(const struct flame_node *node)
{
	if (node->kind == FLAME_PYTHON && node->file && stall_is_library(node->file))
		return legends[LEGEND_LIBRARY].css;
	return flame_kind_name(node->kind);
}

static const char *change_class(const struct flame_node *node)
{
	static const char *const grown[] = {"same", "grown1", "grown2", "grown3", "grown4"};
	static const char *const shrunk[] = {"same", "shrunk1", "shrunk2", "shrunk3", "shrunk4"};
	double now = (double)node->total_ns, old = (double)node->old_total_ns;
	double larger = now > old ? now : old;
	double change = larger > 0 ? (now - old) / larger : 0;
	double size = change < 0 ? -change : change;
	int step = size < 0.03 ? 0 : size < 0.15 ? 1 : size < 0.4 ? 2 : size < 0.75 ? 3 : 4;

	return change < 0 ? shrunk[step] : grown[step];
}

/* "12.3 %"; what is not nothing never reads as nothing. */
static const char *share(int64_t part, int64_t whole, char out[16])
{
	double percent = whole > 0 ? 100.0 * (double)part / (double)whole : 0;

	if (part > 0 && percent < 0.01)
		return "under 0.01 %";
	snprintf(out, 16, percent < 1 ? "%.2f %%" : "%.1f %%", percent);
	return out;
}

/* The lines of a tooltip. The script shows the same: nothing is put into words twice. */
static void put_title(FILE *out, const struct flame *flame, const struct flame_node *node)
{
	const struct flame_node *all = &flame->nodes[0];
	const struct flame_node *parent =
		node->parent == PROFILE_NONE ? NULL : &flame->nodes[node->parent];
	char time[WORDS_DURATION_SZ], of_all[16], of_parent[16];

	fputs("<title>", out);
	markup_text(out, node->label);
	/* Of native code the label says the file already. */
	if (node->file && node->kind == FLAME_PYTHON) {
		fputc('\n', out);
		markup_text(out, node->file);
		if (node->line > 0)
			fprintf(out, ":%d", node->line);
	}
	fprintf(out, "\n%s, %s of all", words_duration(node->total_ns, time),
		share(node->total_ns, all->total_ns, of_all));
	if (parent)
		fprintf(out, ", %s of its caller",
			share(node->total_ns, parent->total_ns, of_parent));
	fprintf(out, "\n%s of its own, seen %" PRIu64 " %s",
		node->self_ns ? words_duration(node->self_ns, time) : "nothing", node->total_cnt,
		node->total_cnt == 1 ? "time" : "times");
	if (flame->compared) {
		int64_t change = node->total_ns - node->old_total_ns;

		fprintf(out, "\nbefore: %s", words_duration(node->old_total_ns, time));
		if (change)
			fprintf(out, ", now %s %s",
				words_duration(change < 0 ? -change : change, time),
				change < 0 ? "less" : "more");
		if (change && node->old_total_ns > 0)
			fprintf(out, " (%+.1f %%)",
				100.0 * (double)change / (double)node->old_total_ns);
	}
	fputs("</title>", out);
}

static void put_frame(FILE *out, const struct flame *flame, const struct drawn *drawn)
{
	const struct flame_node *node = &flame->nodes[drawn->node];
	double px = drawn->width * FLAMEGRAPH_WIDTH;

	fprintf(out, "<svg class=\"f %s%s\" x=\"%.4f%%\" y=\"%" PRIu32 "\" width=\"%.4f%%\"",
		flame->compared ? change_class(node) : frame_class(node),
		px < EDGE_MIN_PX ? " n" : "", drawn->x * 100, node->depth * ROW_PX,
		drawn->width * 100);
	fprintf(out, " height=\"%d\" data-t=\"%" PRId64 "\"", ROW_PX - 1, node->total_ns);
	if (flame->compared)
		fprintf(out, " data-o=\"%" PRId64 "\"", node->old_total_ns);
	if (drawn->width <= 0 && drawn->node)
		fputs(" display=\"none\"", out);
	fputc('>', out);
	put_title(out, flame, node);
	fputs("<rect width=\"100%\" height=\"100%\"/>", out);
	if (px >= TEXT_MIN_PX) {
		fputs("<text x=\"5\" y=\"14\">", out);
		markup_text(out, node->label);
		fputs("</text>", out);
	}
	fputs("</svg>\n", out);
}

static uint32_t graph_height(const struct drawing *drawing)
{
	return (drawing->depth_max + 1) * ROW_PX;
}

/* `place` are the attributes that say where. */
static void put_graph(FILE *out, const struct flame *flame, const struct drawing *drawing,
		      const struct flamegraph *words, const char *place)
{
	fprintf(out, "<svg id=\"graph\" class=\"graph\" %s height=\"%" PRIu32 "\" role=\"img\"",
		place, graph_height(drawing));
	fprintf(out, " data-row=\"%d\" aria-label=\"Flame graph: ", ROW_PX);
	markup_text(out, words->title);
	fputs("\" xmlns=\"http://www.w3.org/2000/svg\">\n", out);
	for (size_t i = 0; i < drawing->drawn_cnt; i++)
		put_frame(out, flame, &drawing->drawn[i]);
	fputs("</svg>\n", out);
}

/* --- What stands above and below ------------------------------------------- */

static void put_total(FILE *out, const struct flame *flame)
{
	static const char *const of[FLAME_CLOCK_CNT] = {
		[FLAME_WALL] = "on CPU or blocked",
		[FLAME_CPU] = "on CPU",
		[FLAME_BLOCKED] = "blocked",
	};
	enum flame_clock clock = flame->options.clock;
	char time[WORDS_DURATION_SZ];

	fputs(words_duration(flame->nodes[0].total_ns, time), out);
	if (clock == FLAME_WALL && flame->options.idle)
		fputs(" on CPU, blocked or idle", out);
	else
		fprintf(out, " %s", of[(unsigned int)clock < FLAME_CLOCK_CNT ? clock : FLAME_WALL]);
	if (flame->compared)
		fprintf(out, ", before %s", words_duration(flame->nodes[0].old_total_ns, time));
	fprintf(out, ", by %s", flame_by_name(flame->options.by));
}

/* What of the flame the picture does not show; nothing, when it shows all. */
static void put_left_out(FILE *out, const struct flame *flame, const struct drawing *drawing)
{
	char percent[16];

	if (drawing->left_out_cnt)
		fprintf(out, "%" PRIu64 " %s left out: %s of the time. ",
			drawing->left_out_cnt,
			drawing->left_out_cnt == 1 ? "frame too narrow to see is" :
						     "frames too narrow to see are",
			share(drawing->left_out_ns, flame->nodes[0].total_ns, percent));
	if (flame->clipped_cnt)
		fprintf(out,
			"%" PRIu64 " stacks were too deep: their innermost frames are missing. ",
			flame->clipped_cnt);
	if (flame->nodes[0].total_ns <= 0)
		fputs("No time was recorded. ", out);
}

/* Which colours the picture has. */
static size_t find_legend(const struct flame *flame, const struct drawing *drawing,
			  struct legend found[LEGEND_CNT])
{
	struct legend all[LEGEND_CNT];
	size_t cnt = 0;

	if (flame->compared) {
		memcpy(found, changes, sizeof(changes));
		return sizeof(changes) / sizeof(changes[0]);
	}
	memcpy(all, legends, sizeof(all));
	for (size_t i = 0; i < drawing->drawn_cnt; i++) {
		const struct flame_node *node = &flame->nodes[drawing->drawn[i].node];

		if (frame_class(node) == legends[LEGEND_LIBRARY].css)
			all[LEGEND_LIBRARY].used = true;
		else
			all[node->kind].used = true;
	}
	for (int i = FLAME_PROCESS; i <= FLAME_PYTHON; i++) {
		if (all[i].used)
			found[cnt++] = all[i];
	}
	if (all[LEGEND_LIBRARY].used)
		found[cnt++] = all[LEGEND_LIBRARY];
	for (int i = FLAME_NATIVE; i < FLAME_KIND_CNT; i++) {
		if (all[i].used)
			found[cnt++] = all[i];
	}
	return cnt;
}

static void put_style(FILE *out)
{
	fwrite(flamegraph_css, 1, (size_t)(flamegraph_css_end - flamegraph_css), out);
}

static void put_script(FILE *out)
{
	fwrite(flamegraph_js, 1, (size_t)(flamegraph_js_end - flamegraph_js), out);
}

static int finish(FILE *out)
{
	/* -EIO when the stream does not say why. */
	errno = 0;
	if (!fflush(out) && !ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}

/* --- The two documents ------------------------------------------------------- */

static unsigned int graph_top(const struct flamegraph *words)
{
	return GRAPH_TOP_PX + (words->subtitle ? LINE_PX : 0);
}

static void put_svg_head(FILE *out, const struct flame *flame, const struct drawing *drawing,
			 const struct flamegraph *words)
{
	struct legend found[LEGEND_CNT];
	size_t cnt = find_legend(flame, drawing, found);
	unsigned int x = MARGIN_PX, y = LEGEND_TOP_PX;

	fprintf(out, "<g id=\"head\"><text class=\"title\" x=\"%d\" y=\"30\">", MARGIN_PX);
	markup_text(out, words->title);
	fprintf(out, "</text>\n<text class=\"sub\" id=\"total\" x=\"%d\" y=\"51\">", MARGIN_PX);
	put_total(out, flame);
	fputs("</text>\n", out);
	if (words->subtitle) {
		fprintf(out, "<text class=\"sub\" id=\"subtitle\" x=\"%d\" y=\"%u\">", MARGIN_PX,
			y + 6);
		markup_text(out, words->subtitle);
		fputs("</text>\n", out);
		y += LINE_PX;
	}
	fputs("<g id=\"legend\">", out);
	for (size_t i = 0; i < cnt; i++) {
		fprintf(out, "<g class=\"key\"><rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"12\" ",
			found[i].css, x, y);
		fprintf(out,
			"height=\"12\" rx=\"3\"/><text class=\"sub\" x=\"%u\" "
			"y=\"%u\">%s</text></g>",
			x + 18, y + 10, found[i].words);
		x += 44 + 7 * (unsigned int)strlen(found[i].words);
	}
	fputs("</g></g>\n", out);
}

static void put_svg_foot(FILE *out, const struct flame *flame, const struct drawing *drawing,
			 const struct flamegraph *words)
{
	uint32_t y = graph_top(words) + graph_height(drawing) + 22;

	fprintf(out, "<g id=\"foot\"><text class=\"sub\" id=\"notes\" x=\"%d\" y=\"%" PRIu32 "\">",
		MARGIN_PX, y);
	put_left_out(out, flame, drawing);
	fprintf(out, "</text><text class=\"sub\" id=\"maker\" x=\"%d\" y=\"%" PRIu32 "\" ",
		FLAMEGRAPH_WIDTH - MARGIN_PX, y);
	fputs("text-anchor=\"end\">asyncprof ", out);
	markup_text(out, words->version);
	fputs("</text></g>\n", out);
}

int flamegraph_svg(FILE *out, const struct flame *flame, const struct flamegraph *words)
{
	uint32_t height;
	struct drawing drawing;
	char place[64];

	if (drawing__init(&drawing, flame))
		return -ENOMEM;
	height = graph_top(words) + graph_height(&drawing) + 38;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"asyncprof\" width=\"%d\" "
		"height=\"%" PRIu32 "\" viewBox=\"0 0 %d %" PRIu32
		"\" preserveAspectRatio=\"xMinYMin\" data-clock=\"%s\">\n<title>",
		FLAMEGRAPH_WIDTH, height, FLAMEGRAPH_WIDTH, height,
		flame_clock_name(flame->options.clock));
	markup_text(out, words->title);
	fputs("</title>\n<style><![CDATA[\n", out);
	put_style(out);
	fputs("]]></style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n", out);
	put_svg_head(out, flame, &drawing, words);
	snprintf(place, sizeof(place), "x=\"%d\" y=\"%u\" width=\"%d\"", MARGIN_PX,
		 graph_top(words), FLAMEGRAPH_WIDTH - 2 * MARGIN_PX);
	put_graph(out, flame, &drawing, words, place);
	put_svg_foot(out, flame, &drawing, words);
	fputs("<script><![CDATA[\n", out);
	put_script(out);
	fputs("]]></script>\n</svg>\n", out);
	drawing__clear(&drawing);
	return finish(out);
}

static void put_html_head(FILE *out, const struct flame *flame, const struct drawing *drawing,
			  const struct flamegraph *words)
{
	struct legend found[LEGEND_CNT];
	size_t cnt = find_legend(flame, drawing, found);

	fputs("<header id=\"head\"><h1 class=\"title\">", out);
	markup_text(out, words->title);
	fputs("</h1>\n<p class=\"sub\" id=\"total\">", out);
	put_total(out, flame);
	fputs("</p>\n", out);
	if (words->subtitle) {
		fputs("<p class=\"sub\" id=\"subtitle\">", out);
		markup_text(out, words->subtitle);
		fputs("</p>\n", out);
	}
	fputs("<p class=\"sub\" id=\"legend\">", out);
	for (size_t i = 0; i < cnt; i++)
		fprintf(out,
			"<span class=\"key\"><svg width=\"12\" height=\"12\" aria-hidden=\"true\">"
			"<rect class=\"%s\" width=\"12\" height=\"12\" rx=\"3\"/></svg> "
			"%s</span>\n",
			found[i].css, found[i].words);
	fputs("</p></header>\n", out);
}

int flamegraph_html(FILE *out, const struct flame *flame, const struct flamegraph *words)
{
	struct drawing drawing;
	int err;

	if (drawing__init(&drawing, flame))
		return -ENOMEM;
	/* It needs nothing from elsewhere: whatever a name smuggled in could not fetch. */
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
	      out);
	markup_text(out, words->title);
	fputs("</title>\n<style>\n", out);
	put_style(out);
	fprintf(out, "</style>\n</head>\n<body class=\"asyncprof\" data-clock=\"%s\">\n",
		flame_clock_name(flame->options.clock));
	put_html_head(out, flame, &drawing, words);
	fputs("<main>\n", out);
	put_graph(out, flame, &drawing, words, "width=\"100%\"");
	err = flamegraph_table(out, flame);
	fputs("</main>\n<footer class=\"sub\" id=\"foot\"><span id=\"notes\">", out);
	put_left_out(out, flame, &drawing);
	fputs("</span><span id=\"maker\">asyncprof ", out);
	markup_text(out, words->version);
	fputs("</span></footer>\n<script>\n", out);
	put_script(out);
	fputs("</script>\n</body>\n</html>\n", out);
	drawing__clear(&drawing);
	return err ? err : finish(out);
}
