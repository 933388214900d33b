/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See mock-host.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/beside.h"
#include "tests/lang/mock-host.h"

static Schema *schema;

__attribute__((__destructor__)) static void forget_schema(void) {
        schema = schema_free(schema);
}

const Schema *mock_schema(void) {
        _cleanup_free_ char *path = BESIDE("kinds.json");

        if (!schema && path && schema_load(&schema, path, NULL) < 0)
                schema = NULL;
        return schema;
}

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        for (const MockFile *f = userdata; f->path; f++)
                if (streq(f->path, path)) {
                        *ret = strdup(f->text);
                        *ret_size = strlen(f->text);
                        return *ret ? 0 : -ENOMEM;
                }
        return -ENOENT;
}

LangHost mock_host(const MockFile *files) {
        return (LangHost) { .userdata = (void *) files, .schema = mock_schema(), .hostname = "tester", .module_path = "/modules/",
                            .read_file = read_file };
}

int mock_compile(Lang **ret, const MockFile *files, LangStage *reterr_stage, Diags *reterr) {
        const LangHost host = mock_host(files);
        const LangOptions options = { .entry = "/main.mcl", .reterr_stage = reterr_stage };

        return lang_compile(ret, &host, &options, reterr);
}

int mock_compile_text(Lang **ret, const char *text, LangStage *reterr_stage, Diags *reterr) {
        const MockFile files[] = { { "/main.mcl", text }, {} };

        return mock_compile(ret, files, reterr_stage, reterr);
}
