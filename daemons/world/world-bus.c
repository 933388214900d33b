/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.mgmt.world1.Manager. Methods that need the database answer when it has. */

#include <errno.h>

#include <systemd/sd-bus.h>

#include "common/bundle.h"
#include "common/sd/bus.h"
#include "common/sd/deploy-bus.h"
#include "daemons/world/world-manager.h"

#define OBJECT_PATH "/org/mgmt/world1"
#define INTERFACE "org.mgmt.world1.Manager"

/* ---- properties ---- */

static int get_deploy_id(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;

        return sd_bus_message_append(reply, "t", deploy_server_newest(m->deploy_server));
}

static int get_resource_count(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                              void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;

        return sd_bus_message_append(reply, "u", worker_n_resources(m->worker));
}

static int get_call_count(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;

        return sd_bus_message_append(reply, "u", source_server_n_sources(m->sources));
}

static int get_problems(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                        void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;
        const char *unreachable = store_problem(m->store);
        _cleanup_free_ const char **texts = troubles_texts(m->troubles);
        int r;

        if (!texts)
                return -ENOMEM;
        r = sd_bus_message_open_container(reply, 'a', "s");
        if (r >= 0 && unreachable)
                r = sd_bus_message_append(reply, "s", unreachable);
        for (size_t i = 0; texts[i] && r >= 0; i++)
                r = sd_bus_message_append(reply, "s", texts[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* ---- strings ---- */

/* The callbacks own the call; KeysCall itself needs no further care. */
static void reply_error(sd_bus_message *call, int error, const char *problem) {
        (void) sd_bus_reply_method_errnof(call, -error, "the store failed: %s", problem ?: strerrordesc_np(-error));
}

static void on_string(const KeysReply *reply, void *userdata) {
        sd_bus_message *call = userdata;
        bool found = reply->value.kind == TYPE_STR;

        if (reply->error < 0)
                reply_error(call, reply->error, reply->problem);
        else
                (void) sd_bus_reply_method_return(call, "bs", found, found ? value_cstr(reply->value) : "");
        sd_bus_message_unref(call);
}

static void on_string_set(const KeysReply *reply, void *userdata) {
        sd_bus_message *call = userdata;

        if (reply->error < 0)
                reply_error(call, reply->error, reply->problem);
        else
                (void) sd_bus_reply_method_return(call, NULL);
        sd_bus_message_unref(call);
}

static int started(sd_bus_message *call, int r) {
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        return 1;
}

static int method_get_string(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;
        KeysCall *c;
        const char *key;
        int r;

        r = sd_bus_message_read(call, "s", &key);
        if (r < 0)
                return r;
        return started(call, keys_get(m->keys, key, NULL, on_string, sd_bus_message_ref(call), &c));
}

static int set_string(WorldManager *m, sd_bus_message *call, const char *key, Value v) {
        KeysCall *c;

        return started(call, keys_set(m->keys, key, NULL, v, NULL, on_string_set, sd_bus_message_ref(call), &c));
}

static int method_set_string(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        _cleanup_(value_done) Value v = {};
        const char *key, *value;
        int r;

        r = sd_bus_message_read(call, "ss", &key, &value);
        if (r >= 0)
                r = value_strz(&v, value);
        return r < 0 ? r : set_string(userdata, call, key, v);
}

static int method_delete_string(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        const char *key;
        int r;

        r = sd_bus_message_read(call, "s", &key);
        return r < 0 ? r : set_string(userdata, call, key, VALUE_NIL);
}

/* ---- deploys ---- */

/* A call that waits for the store; deploy_call_free() is its end. */
typedef struct DeployCall {
        WorldManager *manager;
        sd_bus_message *call;
} DeployCall;

static int deploy_call_new(DeployCall **ret, WorldManager *m, sd_bus_message *call) {
        *ret = malloc(sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        **ret = (DeployCall) { .manager = m, .call = sd_bus_message_ref(call) };
        return 0;
}

static void deploy_call_free(DeployCall *c) {
        sd_bus_message_unref(c->call);
        free(c);
}

static void deploy_call_fail(DeployCall *c, int error) {
        const char *problem = error == -ECANCELED ? NULL : deploy_server_problem(c->manager->deploy_server, error);

        reply_error(c->call, error, problem);
}

/* r: of the function that started what the call waits for. */
static int deploy_call_started(DeployCall *c, int r) {
        if (r < 0)
                deploy_call_free(c);
        return r < 0 ? r : 1;
}

static int append_row(sd_bus_message *reply, const Deploy *d) {
        DeployOptions options = {};
        int r;

        r = deploy_options_from_value(&options, d->options, NULL);
        if (r >= 0)
                r = sd_bus_message_append(reply, "(ttttsbs)", d->id, d->time_usec, d->n_files, d->size_bytes, options.source,
                                          *options.signature != '\0', options.hosts);
        deploy_options_done(&options);
        return r;
}

static int append_deploys(sd_bus_message *reply, const Deploy *deploys, size_t n) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(ttttsbs)");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_row(reply, &deploys[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void on_deploys(int error, const Deploy *deploys, size_t n, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        DeployCall *c = userdata;
        int r = error;

        if (r >= 0)
                r = sd_bus_message_new_method_return(c->call, &reply);
        if (r >= 0)
                r = append_deploys(reply, deploys, n);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                deploy_call_fail(c, r);
        deploy_call_free(c);
}

static int method_list_deploys(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;
        DeployCall *c;
        int r = deploy_call_new(&c, m, call);

        return r < 0 ? r : deploy_call_started(c, deploy_server_list(m->deploy_server, on_deploys, c));
}

/* The bundle, and how it is to be run. */
static int append_deploy(sd_bus_message *reply, const Deploy *deploy) {
        DeployOptions options = {};
        int fd = -EBADF, r;

        r = deploy_options_from_value(&options, deploy->options, NULL);
        if (r < 0)
                return r;
        r = bundle_seal(deploy->bundle, &fd);
        if (r >= 0)
                r = sd_bus_message_append(reply, "h", fd);
        if (r >= 0)
                r = deploy_options_append(reply, &options);
        closep(&fd);
        deploy_options_done(&options);
        return r;
}

static void on_deploy(int error, const Deploy *deploys, size_t n, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        DeployCall *c = userdata;
        int r = error < 0 ? error : n == 0 ? -ENOENT : sd_bus_message_new_method_return(c->call, &reply);

        if (r >= 0)
                r = append_deploy(reply, deploys);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r == -ENOENT)
                (void) sd_bus_reply_method_errnof(c->call, ENOENT, "there is no such deploy");
        else if (r < 0)
                deploy_call_fail(c, r);
        deploy_call_free(c);
}

static int method_get_deploy(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        WorldManager *m = userdata;
        DeployCall *c;
        uint64_t id;
        int r;

        r = sd_bus_message_read(call, "t", &id);
        if (r >= 0)
                r = deploy_call_new(&c, m, call);
        return r < 0 ? r : deploy_call_started(c, deploy_server_get(m->deploy_server, id, on_deploy, c));
}

static void on_deploy_added(int error, const Deploy *deploys, size_t n, void *userdata) {
        DeployCall *c = userdata;

        if (error < 0)
                deploy_call_fail(c, error);
        else
                (void) sd_bus_reply_method_return(c->call, "t", deploys[0].id);
        deploy_call_free(c);
}

static int read_addition(sd_bus_message *call, Value *ret_bundle, Value *ret_options, uint64_t *ret_after, const char **ret_token,
                         Diag *reterr) {
        DeployOptions options = {};
        int fd, r;

        r = sd_bus_message_read(call, "h", &fd);
        if (r >= 0)
                r = bundle_unseal(fd, ret_bundle, reterr);
        if (r >= 0)
                r = deploy_options_read(call, &options, reterr);
        if (r >= 0)
                r = sd_bus_message_read(call, "ts", ret_after, ret_token);
        if (r >= 0)
                r = deploy_options_to_value(&options, ret_options);
        deploy_options_done(&options);
        return r;
}

static int method_add_deploy(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        _cleanup_(value_done) Value bundle = {}, options = {};
        _cleanup_(diag_done) Diag d = {};
        WorldManager *m = userdata;
        ClusterAddition a = {};
        DeployCall *c = NULL;
        int r;

        r = read_addition(call, &bundle, &options, &a.after, &a.token, &d);
        if (r >= 0)
                r = deploy_call_new(&c, m, call);
        if (r >= 0) {
                a.bundle = bundle;
                a.options = options;
                a.token = *a.token ? a.token : NULL;
                r = deploy_call_started(c, deploy_server_add(m->deploy_server, &a, on_deploy_added, c, &d));
        }
        if (r < 0 && d.message)
                return bus_error_from_diag(reterr, &d);
        return r;
}

/* ---- the interface: see dbus/org.mgmt.world1.xml ---- */

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_PROPERTY_VERSION,
        SD_BUS_PROPERTY("DeployId", "t", get_deploy_id, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ResourceCount", "u", get_resource_count, 0, 0),
        SD_BUS_PROPERTY("CallCount", "u", get_call_count, 0, 0),
        SD_BUS_PROPERTY("StoreUri", "s", NULL, offsetof(WorldManager, store_uri), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Problems", "as", get_problems, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("GetString", SD_BUS_ARGS("s", key), SD_BUS_RESULT("b", found, "s", value), method_get_string, 0),
        SD_BUS_METHOD_WITH_ARGS("SetString", SD_BUS_ARGS("s", key, "s", value), SD_BUS_NO_RESULT, method_set_string, 0),
        SD_BUS_METHOD_WITH_ARGS("DeleteString", SD_BUS_ARGS("s", key), SD_BUS_NO_RESULT, method_delete_string, 0),
        SD_BUS_METHOD_WITH_ARGS("ListDeploys", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ttttsbs)", deploys), method_list_deploys, 0),
        SD_BUS_METHOD_WITH_ARGS("GetDeploy", SD_BUS_ARGS("t", deploy), SD_BUS_RESULT("h", bundle, "a{sv}", options), method_get_deploy, 0),
        SD_BUS_METHOD_WITH_ARGS("AddDeploy", SD_BUS_ARGS("h", bundle, "a{sv}", options, "t", after, "s", token), SD_BUS_RESULT("t", deploy),
                                method_add_deploy, 0),
        SD_BUS_SIGNAL_WITH_ARGS("DeployAdded", SD_BUS_ARGS("t", deploy), 0),
        SD_BUS_VTABLE_END
};

int world_bus_export(WorldManager *m) {
        return daemon_export(m->daemon, OBJECT_PATH, INTERFACE, manager_vtable, m);
}

void world_bus_deploy_added(WorldManager *m, uint64_t id) {
        char *properties[] = { (char *) "DeployId", NULL };

        (void) daemon_emit(m->daemon, OBJECT_PATH, INTERFACE, "DeployAdded", "t", id);
        (void) daemon_emit_changed(m->daemon, OBJECT_PATH, INTERFACE, properties);
}

void world_bus_troubled(WorldManager *m) {
        char *properties[] = { (char *) "Problems", NULL };

        (void) daemon_emit_changed(m->daemon, OBJECT_PATH, INTERFACE, properties);
}
