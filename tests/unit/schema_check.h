/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* As much of JSON Schema as asyncprof's own schema uses; anything else in it is an error. */
#ifndef ASYNCPROF_TEST_SCHEMA_CHECK_H
#define ASYNCPROF_TEST_SCHEMA_CHECK_H

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int schema_check(json_t *root, json_t *schema, json_t *value, char *why, size_t why_sz);

static int type_fits(const char *type, json_t *value)
{
	if (!strcmp(type, "number"))
		return json_is_number(value);
	if (!strcmp(type, "integer"))
		return json_is_integer(value);
	if (!strcmp(type, "string"))
		return json_is_string(value);
	if (!strcmp(type, "boolean"))
		return json_is_boolean(value);
	if (!strcmp(type, "null"))
		return json_is_null(value);
	if (!strcmp(type, "object"))
		return json_is_object(value);
	return !strcmp(type, "array") && json_is_array(value);
}

static int types_fit(json_t *types, json_t *value)
{
	size_t i;
	json_t *type;

	if (json_is_string(types))
		return type_fits(json_string_value(types), value);
	json_array_foreach(types, i, type)
	{
		if (type_fits(json_string_value(type), value))
			return 1;
	}
	return 0;
}

/* How many of the schemas in the list the value fits. */
static int fitting_cnt(json_t *root, json_t *list, json_t *value, char *why, size_t why_sz)
{
	int cnt = 0;
	size_t i;
	json_t *schema;

	json_array_foreach(list, i, schema) cnt +=
		schema_check(root, schema, value, why, why_sz) == 0;
	return cnt;
}

static int properties_fit(json_t *root, json_t *schema, json_t *value, char *why, size_t why_sz)
{
	json_t *properties = json_object_get(schema, "properties"), *item;
	const char *key;
	size_t i;

	if (json_is_true(json_object_get(schema, "additionalProperties")))
		return 0;
	json_object_foreach(value, key, item)
	{
		json_t *property = json_object_get(properties, key);
		char inner[256] = "";

		if (property && schema_check(root, property, item, inner, sizeof(inner)) == 0)
			continue;
		snprintf(why, why_sz, "%s: %s", key, property ? inner : "not in the schema");
		return 0;
	}
	json_array_foreach(json_object_get(schema, "required"), i, item)
	{
		if (json_object_get(value, json_string_value(item)))
			continue;
		snprintf(why, why_sz, "%s is missing", json_string_value(item));
		return 0;
	}
	return 1;
}

static int keyword_fits(json_t *root, json_t *schema, const char *keyword, json_t *rule,
			json_t *value, char *why, size_t why_sz)
{
	size_t i;
	json_t *item;

	if (!strcmp(keyword, "type"))
		return types_fit(rule, value);
	if (!strcmp(keyword, "const"))
		return json_equal(rule, value);
	if (!strcmp(keyword, "enum")) {
		json_array_foreach(rule, i, item)
		{
			if (json_equal(item, value))
				return 1;
		}
		return 0;
	}
	if (!strcmp(keyword, "anyOf"))
		return fitting_cnt(root, rule, value, why, why_sz) > 0;
	if (!strcmp(keyword, "oneOf"))
		return fitting_cnt(root, rule, value, why, why_sz) == 1;
	if (!strcmp(keyword, "$ref")) {
		const char *name = strrchr(json_string_value(rule), '/') + 1;
		json_t *definition = json_object_get(json_object_get(root, "$defs"), name);

		return definition && schema_check(root, definition, value, why, why_sz) == 0;
	}
	if (!strcmp(keyword, "items")) {
		json_array_foreach(value, i, item)
		{
			if (schema_check(root, rule, item, why, why_sz))
				return 0;
		}
		return 1;
	}
	if (!strcmp(keyword, "properties"))
		return properties_fit(root, schema, value, why, why_sz);
	return !strcmp(keyword, "required") || !strcmp(keyword, "additionalProperties") ||
	       !strcmp(keyword, "description") || !strcmp(keyword, "title") ||
	       !strcmp(keyword, "version") || !strcmp(keyword, "$schema") ||
	       !strcmp(keyword, "$defs");
}

/* 0 when `value` fits; else -1, and `why` says what does not. */
static int schema_check(json_t *root, json_t *schema, json_t *value, char *why, size_t why_sz)
{
	const char *keyword;
	json_t *rule;

	json_object_foreach(schema, keyword, rule)
	{
		why[0] = 0;
		if (keyword_fits(root, schema, keyword, rule, value, why, why_sz))
			continue;
		if (!why[0])
			snprintf(why, why_sz, "does not fit \"%s\"", keyword);
		return -1;
	}
	return 0;
}

#endif
