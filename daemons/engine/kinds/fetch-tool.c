/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-fetch -- one file over HTTP, for the engine, which is root and shall neither speak with servers that it does not know nor load
 * what that takes. It has no rights, and lives as long as the answer.
 *
 * On stdin: the URL, which may have a password in it. On stdout comes the body of an answer with status 200. It ends with 0, or with 1
 * and an error on stderr, which has no password in it. */

#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/http/curl-loop.h"
#include "common/http/fetch.h"
#include "common/io.h"
#include "common/url.h"
#include "daemons/engine/kinds/tool-rights.h"

enum { URL_MAX = 64 * 1024 };

#define SILENCE_USEC (UINT64_C(60) * 1000 * 1000)

typedef struct Tool {
        sd_event *event;
        sd_event_source *silence;       /* nothing came for so long */
        char *shown;                    /* the URL, for people */
} Tool;

static int fail(const Tool *t, const char *why) {
        fprintf(stderr, "'%s': %s\n", t->shown, why);
        return EXIT_FAILURE;
}

static int fail_status(const Tool *t, unsigned status) {
        fprintf(stderr, "'%s': the server answers with status %u\n", t->shown, status);
        return EXIT_FAILURE;
}

static int on_data(HttpFetch *f, const void *data, size_t size, void *userdata) {
        Tool *t = userdata;

        if (http_fetch_status(f) != 200)
                return -EBADMSG;
        (void) sd_event_source_set_time_relative(t->silence, SILENCE_USEC);
        return write_all(STDOUT_FILENO, data, size);
}

static void on_done(HttpFetch *f, int error, const char *message, void *userdata) {
        Tool *t = userdata;
        unsigned status = http_fetch_status(f);
        int code = EXIT_SUCCESS;

        if (status != 0 && status != 200)
                code = fail_status(t, status);
        else if (error < 0)
                code = fail(t, message);
        (void) sd_event_exit(t->event, code);
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata) {
        Tool *t = userdata;

        return sd_event_exit(t->event, fail(t, "the server is silent"));
}

static int fetch(Tool *t, const char *url) {
        static const HttpFetchOps ops = { .data = on_data, .done = on_done };
        CurlLoop *curl = NULL;
        HttpFetch *f = NULL;
        int r;

        r = sd_event_new(&t->event);
        if (r >= 0)
                r = sd_event_add_time_relative(t->event, &t->silence, CLOCK_MONOTONIC, SILENCE_USEC, 0, on_silence, t);
        if (r >= 0)
                r = curl_loop_new(&curl, t->event);
        if (r >= 0)
                r = http_fetch_new(&f, curl, &(HttpFetchRequest) { .method = "GET", .url = url }, &ops, t);
        r = r < 0 ? fail(t, strerror(-r)) : sd_event_loop(t->event);
        http_fetch_free(f);
        curl_loop_free(curl);
        sd_event_source_disable_unref(t->silence);
        sd_event_unref(t->event);
        return r < 0 ? fail(t, strerror(-r)) : r;
}

int main(void) {
        _cleanup_free_ char *url = calloc(1, URL_MAX), *shown = NULL;

        if (!url || fread(url, 1, URL_MAX - 1, stdin) == 0 || !(shown = http_url_redacted(url)))
                return fail(&(Tool) { .shown = (char *) "" }, "there is no URL");
        Tool t = { .shown = shown };
        if (tool_drop_rights() < 0)
                return fail(&t, "cannot become nobody");
        if (!http_url_is_valid(url))
                return fail(&t, "it is no URL of HTTP");
        return fetch(&t, url);
}
