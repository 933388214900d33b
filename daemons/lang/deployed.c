/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The compiler's world is the bundle: a program of a deploy reads nothing else while it is compiled, so it means the same on
 * every host and after every reboot. */

#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/strbuf.h"
#include "daemons/lang/mirror.h"
#include "daemons/lang/deployed.h"

/* ---- compiling ---- */

static int host_read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        const Deployed *p = userdata;
        _cleanup_(value_done) Value key = {};
        int r;

        r = value_strz(&key, path);
        if (r < 0)
                return r;
        const Value *content = value_map_get(p->bundle, key);
        if (!content)
                return -ENOENT;

        char *copy = malloc((size_t) content->s->size + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, content->s->data, (size_t) content->s->size + 1);
        *ret = copy;
        *ret_size = content->s->size;
        return 0;
}

/* A method call fails with one error; the further ones stand in its text, each with its place. */
static int join_diags(Diags *diags, int error, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (size_t i = 0; i < diags->n; i++) {
                _cleanup_free_ char *text = diag_text(&diags->items[i]);

                strbuf_puts(&b, i > 0 ? "\n" : "");
                strbuf_puts(&b, text ?: "out of memory");
        }
        if (diags->dropped > 0)
                strbuf_printf(&b, "\n%zu more errors", diags->dropped);
        if (b.failed || b.size == 0)
                return diag_set(reterr, (Pos) {}, error, "cannot compile: %m");
        return diag_set(reterr, (Pos) {}, error, "%s", b.data);
}

static int host_copy_directory(void *userdata, const char *directory, char **ret, Diag *reterr) {
        const Deployed *p = userdata;
        _cleanup_free_ char *name = NULL;
        int r;

        if (!p->sources.state_dir)
                return -ENOSYS;
        if (asprintf(&name, "directory%s", directory) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        r = mirror_files(p->sources.state_dir, name, p->bundle, directory, reterr);
        if (r >= 0 && asprintf(ret, "%s/%s", p->sources.state_dir, name) < 0)
                r = -ENOMEM;
        return r;
}

static const SourceType *host_source(void *userdata, const char *function) {
        const Deployed *p = userdata;

        return p->host->source(function);
}

static void host_due(void *userdata) {
        deployed_poke(userdata);
}

static int on_wave(sd_event_source *source, void *userdata) {
        Deployed *p = userdata;

        p->host->wave(p->host->userdata, p);
        return 0;
}

void deployed_poke(Deployed *p) {
        (void) sd_event_source_set_enabled(p->wave, SD_EVENT_ONESHOT);
}

int deployed_compile(Deployed **ret, Value bundle, DeployOptions *options, const DeployedHost *host, Diag *reterr) {
        _cleanup_(diags_done) Diags diags = {};
        int r;

        _cleanup_(deployed_freep) Deployed *p = calloc(1, sizeof(*p));
        if (!p) {
                value_done(&bundle);
                deploy_options_done(options);
                return diag_set(reterr, (Pos) {}, -ENOMEM, "out of memory");
        }
        *p = (Deployed) { .host = host, .bundle = bundle, .options = *options, .sources = host->sources };
        *options = (DeployOptions) {};

        /* Several sources that speak in one turn of the loop make one wave. */
        r = sd_event_add_defer(host->sources.event, &p->wave, on_wave, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->wave, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(p->wave, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot prepare the program: %m");

        const LangHost lang_host = {
                .userdata = p,
                .schema = host->schema,
                .hostname = host->sources.hostname,
                .module_path = "/modules/",
                .read_file = host_read_file,
                .copy_directory = host_copy_directory,
                .source = host_source,
                .source_host = &p->sources,
                .due = host_due,
        };
        r = lang_compile(&p->lang, &lang_host, &(LangOptions) { .entry = "/metadata.yaml" }, &diags);
        if (r < 0)
                return join_diags(&diags, r, reterr);
        *ret = TAKE_PTR(p);
        return 0;
}

Deployed *deployed_free(Deployed *p) {
        if (!p)
                return NULL;
        lang_free(p->lang);
        change_set_done(&p->whole);
        sd_event_source_disable_unref(p->wave);
        value_done(&p->bundle);
        deploy_options_done(&p->options);
        free(p->error);
        free(p);
        return NULL;
}

int deployed_step(Deployed *p, ChangeSet *ret, bool *ret_news, Diag *reterr) {
        _cleanup_free_ char *error = NULL;
        int r;

        p->behind = false;
        change_set_done(&p->whole);
        r = lang_is_started(p->lang) ? lang_step(p->lang, ret, reterr) : lang_start(p->lang, ret, reterr);
        if (r < 0)
                error = diag_text(reterr);
        *ret_news = !streq_ptr(error, p->error);
        free(p->error);
        p->error = TAKE_PTR(error);
        return r;
}
