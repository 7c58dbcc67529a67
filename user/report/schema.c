/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/schema.h"

#include <errno.h>

#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "model/budget.h"
#include "model/cause.h"
#include "model/fd.h"
#include "model/point.h"
#include "model/stall.h"
#include "report/json.h"

/*
 * One row a field. `type` is a JSON type, "type?" where it can be null; a type
 * in brackets is a list of it, one that starts with '#' a definition of this
 * table (its rows have that `object`).
 */
struct field {
	const char *object, *name, *type, *words;
};

static const struct field table[] = {
	{"start", "type", "=start", "every probe is live"},
	{"start", "ts", "number", "Unix seconds"},
	{"start", "schema", "integer", "version of this schema"},
	{"start", "version", "string", "of asyncprof"},
	{"start", "targets", "[#target]", "processes that are watched"},
	{"start", "tier", "string", "exact, or light"},
	{"start", "threshold_ms", "number", "callbacks from here on are reported"},
	{"start", "kernel", "string?", "release of the running kernel"},
	{"start", "degraded", "[string]", "what does not work here, and why"},

	{"joined", "type", "=joined", "one more process is watched from here on (-s)"},
	{"joined", "ts", "number", "Unix seconds"},
	{"joined", "target", "#target", "which"},
	{"joined", "parent", "integer?", "process that started it; null: not one that /proc shows"},
	{"joined", "degraded", "[string]", "what does not work with it, and why"},

	{"target", "pid", "integer", "process"},
	{"target", "comm", "string?", "its name"},
	{"target", "python", "string?", "version of the interpreter"},
	{"target", "exe", "string?", "path of its executable"},
	{"target", "stripped", "boolean?", "whether the interpreter has no symbols"},

	{"slow", "type", "=slow", "a callback over the threshold"},
	{"slow", "ts", "number", "Unix seconds, when the record was made"},
	{"slow", "id", "string", "a record that is ongoing is closed by a later one with this id"},
	{"slow", "pid", "integer", "process"},
	{"slow", "tid", "integer", "thread of the loop"},
	{"slow", "comm", "string", "name of the thread"},
	{"slow", "loop", "string?", "address of the loop object"},
	{"slow", "kind", "@kind", "what the loop ran"},
	{"slow", "task", "string?", "name of the task"},
	{"slow", "coro", "string?", "qualified name of the task's coroutine"},
	{"slow", "callback", "string?", "qualified name where there is no task"},
	{"slow", "file", "string?", "off CPU: of the longest block; on CPU: the most sampled"},
	{"slow", "line", "integer?", "line in file"},
	{"slow", "start_ts", "number?", "Unix seconds; null: open when asyncprof came"},
	{"slow", "duration_ms", "number?", "upper bound; null: its start is not known"},
	{"slow", "duration_lo_ms", "number", "lower bound"},
	{"slow", "suspended_ms", "number", "not in the duration: an inner run of the same loop"},
	{"slow", "ongoing", "boolean", "it still goes on"},
	{"slow", "at_attach", "boolean", "it was open when asyncprof came"},
	{"slow", "exited", "boolean", "it ended because its thread or process did"},
	{"slow", "cause", "@cause", "the largest part"},
	{"slow", "causes", "[@cause]", "all within 20 % of the largest"},
	{"slow", "syscall", "string?", "system call of the cause"},
	{"slow", "fd", "#fd?", "file or socket that it waited for"},
	{"slow", "gil_holder", "#gil_holder?", "who had the GIL"},
	{"slow", "budget_ms", "#budget_ms?", "parts that add up to duration_ms"},
	{"slow", "sampled", "[@part]", "parts of the budget that come from samples"},
	{"slow", "samples", "integer", "samples that saw it run"},
	{"slow", "stack", "[#frame]", "leaf first, through to the task's coroutine"},
	{"slow", "stack_at_ms", "number?", "when the stack was taken, since the start"},
	{"slow", "stack_reason", "string?", "why there is no stack, or why it is cut"},
	{"slow", "exact", "boolean", "the callback's own duration, not its iteration's"},
	{"slow", "eager", "boolean", "an eager task inside its parent"},
	{"slow", "callbacks", "integer?", "of an iteration: how many it ran"},
	{"slow", "advice", "#advice?", "a well-known cure"},

	{"stack", "type", "=stack", "time of a recording with one stack, added up"},
	{"stack", "ts", "number", "Unix seconds: start of the recording"},
	{"stack", "pid", "integer", "process"},
	{"stack", "tid", "integer", "thread"},
	{"stack", "thread", "string", "its name"},
	{"stack", "loop", "string?", "address of the loop object"},
	{"stack", "what", "@kind?", "what the loop ran; null: a thread without a loop"},
	{"stack", "task", "string?", "name of the task"},
	{"stack", "coro", "string?", "qualified name of the task's coroutine"},
	{"stack", "callback", "string?", "qualified name where there is no task"},
	{"stack", "kind", "@time", "where the time went"},
	{"stack", "cause", "@cause", "why"},
	{"stack", "ms", "number", "milliseconds"},
	{"stack", "count", "integer", "samples, or waits"},
	{"stack", "sampled", "boolean", "from samples of the tick, else measured at each switch"},
	{"stack", "stack", "[#point_frame]", "leaf first, through to the task's coroutine"},

	{"point_frame", "func", "string?", "name; of a wait: what it waits in"},
	{"point_frame", "file", "string?", "source or library; of a wait: path or peer"},
	{"point_frame", "line", "integer?", "line in file"},
	{"point_frame", "kind", "@frame_kind", "what runs there"},

	{"fd", "num", "integer?", "number; null: a path given to open, stat, ..."},
	{"fd", "kind", "@fd_kind?", "what it is"},
	{"fd", "path", "string?", "of a file"},
	{"fd", "peer", "string?", "of a socket"},

	{"gil_holder", "tid", "integer?", "thread"},
	{"gil_holder", "thread", "string?", "its name"},
	{"gil_holder", "func", "string?", "what it ran"},
	{"gil_holder", "file", "string?", "where"},
	{"gil_holder", "line", "integer?", "line in file"},

	{"frame", "func", "string?", "qualified name; plain name before CPython 3.11"},
	{"frame", "file", "string?", "co_filename"},
	{"frame", "line", "integer?", "line in file"},

	{"advice", "key", "string", "stable word"},
	{"advice", "text", "string", "one line"},

	{"summary", "type", "=summary", "the run in numbers"},
	{"summary", "ts", "number", "Unix seconds"},
	{"summary", "interim", "boolean", "the run goes on"},
	{"summary", "duration_s", "number", "of the run"},
	{"summary", "tier", "string", "exact, or light"},
	{"summary", "stalls", "integer", "that have ended"},
	{"summary", "loops", "[#loop]", "one a thread that runs event loops"},
	{"summary", "accounting", "#accounting", "all loops together"},
	{"summary", "records", "#records", "by kind"},
	{"summary", "events_lost", "integer", "records dropped, or switches missed"},
	{"summary", "malformed", "integer", "records that made no sense"},
	{"summary", "forgotten", "#forgotten", "for lack of room"},
	{"summary", "overhead_estimated", "#overhead?", "hits times their calibrated cost"},

	{"loop", "pid", "integer", "process"},
	{"loop", "tid", "integer", "thread"},
	{"loop", "comm", "string", "name of the thread"},
	{"loop", "loop", "string?", "address of the last loop object seen"},
	{"loop", "gone", "boolean", "the thread has ended"},
	{"loop", "iterations", "integer?", "polls of the loop"},
	{"loop", "busy_ratio", "number?", "time outside polls, of all"},
	{"loop", "busy_ms", "number?", "between the end of a poll and the next one"},
	{"loop", "idle_ms", "number?", "inside polls"},
	{"loop", "callbacks", "integer?", "that ended"},
	{"loop", "stalls", "integer", "that have ended"},
	{"loop", "stalled_ms", "number", "sum of their durations"},
	{"loop", "ongoing", "integer", "stalls that were reported and have not ended"},
	{"loop", "places", "[#place]", "stalls by place, most time first"},
	{"loop", "places_overflow", "integer", "stalls whose place found no room"},

	{"place", "kind", "@kind", "what the loop ran"},
	{"place", "title", "string", "coroutine or callback; iteration"},
	{"place", "file", "string?", "of the project's line nearest to the leaf"},
	{"place", "line", "integer?", "line in file"},
	{"place", "cause", "@cause", "the largest part"},
	{"place", "count", "integer", "stalls"},
	{"place", "total_ms", "number", "sum of their durations"},
	{"place", "max_ms", "number", "the longest"},

	{"accounting", "hits", "integer", "callbacks that began"},
	{"accounting", "closed", "integer", "and ended"},
	{"accounting", "ignored", "#ignored", "entries that are no callback of a loop"},
	{"accounting", "open", "integer", "and have not ended"},
	{"accounting", "holds", "boolean", "hits == closed + ignored + open"},
	{"accounting", "open_at_attach", "integer", "apart: open when asyncprof came"},
	{"accounting", "closed_at_attach", "integer", "of those, ended"},
	{"accounting", "signals", "integer", "apart: handlers inside the poll"},

	{"ignored", "caller", "integer", "not called by Handle._run"},
	{"ignored", "unreadable", "integer", "the caller's frame could not be read"},
	{"ignored", "full", "integer", "too many callbacks open at once"},
	{"ignored", "no_thread", "integer", "no room for one more thread"},

	{"records", "attempted", "integer", "records that were to be sent"},
	{"records", "dropped", "integer", "that found no room"},
	{"records", "sent", "integer", "attempted - dropped"},
	{"records", "received", "integer", "that arrived"},
	{"records", "holds", "boolean", "sent == received"},

	{"forgotten", "codes", "integer", "code objects"},
	{"forgotten", "callbacks", "integer", "samples of callbacks that were not slow yet"},
	{"forgotten", "loops", "integer", "threads"},

	{"overhead", "hit_ns", "number?", "calibrated cost of a hit"},
	{"overhead", "total_ms", "number?", "of the run"},
	{"overhead", "ratio", "number?", "of the run's time"},
};

#define TABLE_CNT (sizeof(table) / sizeof(table[0]))

static const char *const records[] = {"start", "joined", "slow", "stack", "summary"};

/* Lists of words. */
static json_t *words_of(const char *what)
{
	json_t *words = json_array();

	if (!strcmp(what, "kind")) {
		for (int i = 0; i < STALL_KIND_CNT; i++)
			json_array_append_new(words, json_string(stall_kind_name(i)));
	} else if (!strcmp(what, "cause")) {
		for (int i = 0; i < CAUSE_CNT; i++)
			json_array_append_new(words, json_string(cause_name(i)));
	} else if (!strcmp(what, "part")) {
		for (int i = 0; i < PART_CNT; i++)
			json_array_append_new(words, json_string(part_name(i)));
	} else if (!strcmp(what, "time")) {
		for (int i = 0; i < POINT_KIND_CNT; i++)
			json_array_append_new(words, json_string(point_kind_name(i)));
	} else if (!strcmp(what, "frame_kind")) {
		for (int i = 0; i < FRAME_KIND_CNT; i++)
			json_array_append_new(words, json_string(frame_kind_name(i)));
	} else {
		for (int i = FD_NONE + 1; i < FD_KIND_CNT; i++)
			json_array_append_new(words, json_string(fd_kind_name(i)));
	}
	return words;
}

/* The schema of a type of the table, without its '?'. */
static json_t *schema_of_type(const char *type, size_t len)
{
	char text[32];

	if (type[0] == '[')
		return json_pack("{s:s, s:o}", "type", "array", "items",
				 schema_of_type(type + 1, len - 2));
	snprintf(text, sizeof(text), "%.*s", (int)len - 1, type + 1);
	if (type[0] == '=')
		return json_pack("{s:s}", "const", text);
	if (type[0] == '@')
		return json_pack("{s:o}", "enum", words_of(text));
	if (type[0] == '#')
		return json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", text));
	return json_pack("{s:s%}", "type", type, len);
}

static json_t *schema_of_field(const struct field *field)
{
	size_t len = strlen(field->type);
	json_t *schema, *null;

	if (field->type[len - 1] == '?') {
		null = json_pack("{s:s}", "type", "null");
		schema = json_pack("{s:[o, o]}", "anyOf", schema_of_type(field->type, len - 1),
				   null);
	} else {
		schema = schema_of_type(field->type, len);
	}
	json_object_set_new(schema, "description", json_string(field->words));
	return schema;
}

static json_t *schema_of_object(const char *object)
{
	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < TABLE_CNT; i++) {
		if (strcmp(table[i].object, object))
			continue;
		json_object_set_new(properties, table[i].name, schema_of_field(&table[i]));
		json_array_append_new(required, json_string(table[i].name));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties,
			 "required", required, "additionalProperties", 0);
}

/* The parts of a budget are those of the model. */
static json_t *schema_of_budget(void)
{
	json_t *properties = json_object(), *required = json_array();

	for (int part = 0; part < PART_CNT; part++) {
		json_object_set_new(properties, part_name(part),
				    json_pack("{s:[s, s]}", "type", "number", "null"));
		json_array_append_new(required, json_string(part_name(part)));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:b}", "description",
			 "milliseconds; null: not measured, its time is inside cpu", "type",
			 "object", "properties", properties, "required", required,
			 "additionalProperties", 0);
}

json_t *schema_json(void)
{
	json_t *defs = json_object(), *any = json_array();

	for (size_t i = 0; i < TABLE_CNT; i++) {
		if (!json_object_get(defs, table[i].object))
			json_object_set_new(defs, table[i].object,
					    schema_of_object(table[i].object));
	}
	json_object_set_new(defs, "budget_ms", schema_of_budget());
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		json_array_append_new(
			any, json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", records[i])));
	return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "$schema",
			 "https://json-schema.org/draft/2020-12/schema", "title",
			 "asyncprof --json", "description",
			 "One object a line. Unknown is null, never 0.", "version",
			 JSON_SCHEMA_VERSION, "oneOf", any, "$defs", defs);
}

int schema_print(FILE *out)
{
	json_t *schema = schema_json();
	int err;

	if (!schema)
		return -ENOMEM;
	err = json_dumpf(schema, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(schema);
	if (err || fputc('\n', out) == EOF || fflush(out))
		return -EIO;
	return 0;
}
