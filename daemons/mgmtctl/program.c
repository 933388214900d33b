/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What happens to a program before any daemon hears of it. */

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>

#include <systemd/sd-bus.h>

#include "common/bundle.h"
#include "common/paths.h"
#include "common/sd/deploy-bus.h"
#include "common/sign/deploy-signature.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/input.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/program.h"

enum { DEPLOY_USEC = 120 * 1000 * 1000 };

/* pos is of a Diag, which owns the name of the file. */
static void show_file(const Input *i, Pos *pos) {
        char *shown = pos->file ? input_display(i, pos->file) : NULL;

        if (!shown)
                return;
        free((char *) pos->file);
        pos->file = shown;
}

/* The sources are found by their real names. */
void program_print_diag(const Input *i, Diag *d) {
        size_t size = 0;
        _cleanup_free_ char *source = input_source(i, d->pos.file, &size);

        show_file(i, &d->pos);
        for (size_t k = 0; k < d->n_notes; k++)
                show_file(i, &d->notes[k].pos);
        output_diag(d, source, size);
}

static void print_failure(const Input *i, int error, Diag *d) {
        if (d->message)
                program_print_diag(i, d);
        else
                output_error("%s", strerrordesc_np(-error));
}

static int compile(const Program *p, bool only_scope, Lang **ret) {
        _cleanup_(schema_freep) Schema *schema = NULL;
        _cleanup_(diags_done) Diags diags = {};
        _cleanup_(diag_done) Diag d = {};
        struct utsname host;
        int r;

        _cleanup_free_ char *kinds = path_data("kinds.json");
        if (!kinds || uname(&host) < 0)
                return -ENOMEM;
        r = schema_load(&schema, kinds, &d);
        if (r < 0) {
                print_failure(&p->input, r, &d);
                return r;
        }
        r = input_compile(&p->input, schema, p->asked->hostname ?: host.nodename, only_scope, ret, &diags);
        for (size_t k = 0; k < diags.n; k++)
                program_print_diag(&p->input, &diags.items[k]);
        if (diags.dropped > 0)
                output_error("%zu more errors", diags.dropped);
        if (r < 0 && diags.n == 0)
                output_error("cannot compile: %s", strerrordesc_np(-r));
        return r;
}

void program_explain(const Program *p, const char *text) {
        _cleanup_(lang_freep) Lang *lang = NULL;

        if (compile(p, false, &lang) >= 0)
                program_print_error(p, text);
}

static int make_bundle(const Program *p, Value *ret) {
        _cleanup_(lang_freep) Lang *lang = NULL;
        _cleanup_(diag_done) Diag d = {};
        int r = p->asked->unchecked ? input_bundle_alone(&p->input, ret, &d) : -ENODATA;

        if (r == -ENODATA) {
                r = compile(p, p->asked->unchecked, &lang);
                if (r < 0)
                        return r;
                r = input_bundle(&p->input, lang, ret, &d);
        }
        if (r < 0)
                print_failure(&p->input, r, &d);
        return r;
}

static int make_options(Program *p, const ProgramOptions *options) {
        DeployOptions *o = &p->options;

        *o = options->deploy;
        o->sema = (uint32_t) (options->sema > 0 ? options->sema : 0);
        o->source = strdup(p->input.label ?: p->input.entry);
        o->hosts = strdup("");
        o->signature = strdup("");
        return o->source && o->hosts && o->signature ? 0 : -ENOMEM;
}

/* The time makes the sequence go up without anybody who counts. */
int program_sign(Program *p, Value bundle, const char *key) {
        _cleanup_(signer_freep) Signer *signer = NULL;
        _cleanup_(diag_done) Diag d = {};
        struct timespec now = {};
        int r;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        p->options.sequence = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
        r = signer_new(&signer, key, &d);
        if (r >= 0)
                r = deploy_sign(signer, bundle, &p->options, &d);
        if (r < 0)
                output_error("cannot sign the program: %s", d.message ?: strerrordesc_np(-r));
        return r;
}

int program_load(Program *ret, const char *input, const ProgramOptions *options) {
        _cleanup_(value_done) Value bundle = {};
        Input *i = &ret->input;
        _cleanup_(diag_done) Diag d = {};
        int r;

        *ret = (Program) { .fd = -EBADF, .asked = options };
        r = input_resolve(i, input, options->module_path, &d);
        if (r < 0) {
                print_failure(i, r, &d);
                return r;
        }
        i->download = options->download;
        i->update = options->update;
        r = make_bundle(ret, &bundle);
        if (r < 0)
                return r;
        r = bundle_seal(bundle, &ret->fd);
        if (r < 0) {
                output_error("cannot pack the program: %s", strerrordesc_np(-r));
                return r;
        }
        r = make_options(ret, options);
        if (r >= 0 && options->sign)
                r = program_sign(ret, bundle, options->sign);
        return r;
}

void program_done(Program *p) {
        input_done(&p->input);
        closep(&p->fd);
        deploy_options_done(&p->options);
        *p = (Program) { .fd = -EBADF };
}

char *program_place(const Program *p, const char *text) {
        const char *colon = text[0] == '/' ? strchr(text, ':') : NULL;
        unsigned line, column;
        char *place;

        if (!colon || sscanf(colon, ":%u:%u", &line, &column) != 2)
                return NULL;
        _cleanup_free_ char *bundle_path = strndup(text, (size_t) (colon - text));
        _cleanup_free_ char *path = bundle_path ? input_from_bundle(&p->input, bundle_path) : NULL;
        _cleanup_free_ char *shown = path ? input_display(&p->input, path) : NULL;
        return shown && asprintf(&place, "%s%s", shown, colon) >= 0 ? place : NULL;
}

/* "FILE:LINE:COLUMN: TEXT". false if the line does not look so. */
static bool parse_place(const Program *p, const char *line, Diag *ret) {
        const char *colon = line[0] == '/' ? strchr(line, ':') : NULL;
        unsigned line_number, column;
        int at = 0;

        if (!colon || sscanf(colon, ":%u:%u: %n", &line_number, &column, &at) != 2 || at == 0)
                return false;
        _cleanup_free_ char *bundle_path = strndup(line, (size_t) (colon - line));
        _cleanup_free_ char *path = bundle_path ? input_from_bundle(&p->input, bundle_path) : NULL;
        if (!path)
                return false;
        diag_set(ret, (Pos) { path, line_number, column, line_number, column + 1 }, -EINVAL, "%s", colon + at);
        return true;
}

void program_print_error(const Program *p, const char *text) {
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *line;

        while ((line = strsep(&rest, "\n"))) {
                Diag next = {};

                if (parse_place(p, line, &next)) {
                        if (d.message)
                                program_print_diag(&p->input, &d);
                        diag_move(&d, &next);
                } else if (d.message)
                        diag_note(&d, (Pos) {}, "%s", line);
                else
                        output_error("%s", line);
        }
        if (d.message)
                program_print_diag(&p->input, &d);
}

int program_set_hosts(Program *p, const char *hosts) {
        char *copy;

        if (streq(p->options.hosts, hosts))
                return 0;
        copy = strdup(hosts);
        char *unsigned_ = strdup("");
        if (!copy || !unsigned_) {
                free(copy);
                free(unsigned_);
                return -ENOMEM;
        }
        field_take_text(&p->options.hosts, copy);
        field_take_text(&p->options.signature, unsigned_);
        p->options.sequence = 0;
        return 0;
}

int program_fetch(Program *p, sd_bus *bus, uint64_t id, Value *ret_bundle) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(diag_done) Diag d = {};
        int fd, r;

        r = sd_bus_call_method(bus, "org.mgmt.world1", "/org/mgmt/world1", "org.mgmt.world1.Manager", "GetDeploy", &error, &reply, "t", id);
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd);
        if (r >= 0) {
                p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                r = p->fd < 0 ? -errno : bundle_unseal(fd, ret_bundle, &d);
        }
        if (r >= 0)
                r = deploy_options_read(reply, &p->options, &d);
        if (r < 0)
                output_error("cannot read deploy %llu: %s", (unsigned long long) id, d.message ?: bus_error_text(&error, r));
        return r;
}

int program_call(const Program *p, sd_bus *bus, const char *method, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, "org.mgmt.lang1", "/org/mgmt/lang1", "org.mgmt.lang1.Manager", method);
        if (r >= 0)
                r = sd_bus_message_append(m, "h", p->fd);
        if (r >= 0)
                r = deploy_options_append(m, &p->options);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int program_deploy(const Program *p, sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t deploy;
        int r;

        r = program_call(p, bus, "Deploy", &m);
        if (r >= 0)
                r = sd_bus_call(bus, m, DEPLOY_USEC, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "t", &deploy);
        if (r < 0) {
                program_print_error(p, bus_error_text(&error, r));
                return EXIT_ERROR;
        }
        if (arg_json) {
                struct json_object *j = json_object_new_object();

                json_object_object_add(j, "type", json_object_new_string("deployed"));
                json_object_object_add(j, "deploy", json_object_new_uint64(deploy));
                output_json(j);
                return EXIT_SUCCESS;
        }
        output_note("deployed", "deploy %llu is in force", (unsigned long long) deploy);
        if (bus_target_is(bus, "UnitFileState", "disabled"))
                output_note("deployed", "after a reboot it will not be: mgmt.target is not enabled ('systemctl enable mgmt.target')");
        return EXIT_SUCCESS;
}
