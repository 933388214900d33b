/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>
#include <strings.h>

#include "common/macro.h"
#include "daemons/engine/kinds/fwupd-data.h"

enum { ITEMS_MAX = 10000 };

typedef enum KeyType {
        KEY_TEXT,               /* char * */
        KEY_TEXTS,              /* char **, also of one text with commas between them */
        KEY_NUMBER,             /* uint64_t, of whatever width; also a boolean. Said twice: the bits of both */
} KeyType;

typedef struct Key {
        const char *name;
        KeyType type;
        size_t offset;
} Key;

static const Key device_keys[] = {
        { "DeviceId", KEY_TEXT, offsetof(FwupdDevice, id) },
        { "Name", KEY_TEXT, offsetof(FwupdDevice, name) },
        { "Version", KEY_TEXT, offsetof(FwupdDevice, version) },
        { "UpdateError", KEY_TEXT, offsetof(FwupdDevice, problem) },
        { "Guid", KEY_TEXTS, offsetof(FwupdDevice, guids) },
        { "Flags", KEY_NUMBER, offsetof(FwupdDevice, flags) },
        { "UpdateState", KEY_NUMBER, offsetof(FwupdDevice, update_state) },
        {}
};

/* Names have changed in the course of its life. */
static const Key release_keys[] = {
        { "Version", KEY_TEXT, offsetof(FwupdRelease, version) },
        { "RemoteId", KEY_TEXT, offsetof(FwupdRelease, remote) },
        { "Uri", KEY_TEXT, offsetof(FwupdRelease, uri) },
        { "Locations", KEY_TEXTS, offsetof(FwupdRelease, locations) },
        { "Checksum", KEY_TEXTS, offsetof(FwupdRelease, checksums) },
        { "Flags", KEY_NUMBER, offsetof(FwupdRelease, flags) },
        { "TrustFlags", KEY_NUMBER, offsetof(FwupdRelease, flags) },
        { "Size", KEY_NUMBER, offsetof(FwupdRelease, size) },
        {}
};

static const Key remote_keys[] = {
        { "RemoteId", KEY_TEXT, offsetof(FwupdRemote, id) },
        { "Uri", KEY_TEXT, offsetof(FwupdRemote, uri) },
        { "FirmwareBaseUri", KEY_TEXT, offsetof(FwupdRemote, firmware_base) },
        { "FilenameCache", KEY_TEXT, offsetof(FwupdRemote, cache) },
        { "Type", KEY_NUMBER, offsetof(FwupdRemote, type) },
        { "Enabled", KEY_NUMBER, offsetof(FwupdRemote, enabled) },
        { "ModificationTime", KEY_NUMBER, offsetof(FwupdRemote, modified) },
        {}
};

static const struct {
        const Key *keys;
        size_t size;
} lists[_FWUPD_LIST_MAX] = {
        [FWUPD_DEVICES] = { device_keys, sizeof(FwupdDevice) },
        [FWUPD_RELEASES] = { release_keys, sizeof(FwupdRelease) },
        [FWUPD_REMOTES] = { remote_keys, sizeof(FwupdRemote) },
};

/* ---- memory ---- */

static void item_done(const Key *keys, void *item) {
        for (const Key *k = keys; k->name; k++) {
                void *member = (char *) item + k->offset;

                if (k->type == KEY_TEXT)
                        free(*(char **) member);
                else if (k->type == KEY_TEXTS)
                        strv_free(*(char ***) member);
        }
}

void fwupd_free(FwupdList list, void *items, size_t n) {
        for (size_t i = 0; i < n; i++)
                item_done(lists[list].keys, (char *) items + i * lists[list].size);
        free(items);
}

/* Nobody has to look whether a text is there. */
static int fill_texts(const Key *keys, void *item) {
        for (const Key *k = keys; k->name; k++) {
                char **text = (char **) (void *) ((char *) item + k->offset);

                if (k->type == KEY_TEXT && !*text && !(*text = strdup("")))
                        return -ENOMEM;
        }
        return 0;
}

/* ---- reading ---- */

static int split(const char *text, char ***ret) {
        size_t n = 0, capacity = 0;
        char **list = NULL;

        for (size_t length; *text; text += length + (text[length] == ',')) {
                length = strcspn(text, ",");
                if (GROW(list, n + 1, capacity) < 0 || !(list[n] = strndup(text, length))) {
                        strv_free(list);
                        return -ENOMEM;
                }
                list[++n] = NULL;
        }
        *ret = list;
        return 0;
}

static int read_text(sd_bus_message *m, char **ret) {
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        if (r < 0)
                return r;
        free(*ret);
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int read_texts(sd_bus_message *m, const char *type, char ***ret) {
        const char *text;
        int r;

        *ret = strv_free(*ret);
        if (streq(type, "as"))
                return sd_bus_message_read_strv(m, ret);
        r = sd_bus_message_read(m, "s", &text);
        return r < 0 ? r : split(text, ret);
}

static int read_number(sd_bus_message *m, const char *type, uint64_t *ret) {
        uint32_t narrow = 0;
        uint64_t wide = 0;
        int boolean = 0;
        int r = streq(type, "t") ? sd_bus_message_read(m, "t", &wide) :
                streq(type, "u") ? sd_bus_message_read(m, "u", &narrow) : sd_bus_message_read(m, "b", &boolean);

        *ret |= wide | narrow | (uint64_t) (boolean != 0);
        return r;
}

static bool fits(KeyType type, const char *contents) {
        switch (type) {
        case KEY_TEXT:
                return streq(contents, "s");
        case KEY_TEXTS:
                return streq(contents, "s") || streq(contents, "as");
        default:
                return streq(contents, "t") || streq(contents, "u") || streq(contents, "b");
        }
}

static int read_value(sd_bus_message *m, const Key *k, void *item) {
        void *member = (char *) item + k->offset;
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(m, &type, &contents);

        if (r < 0)
                return r;
        if (type != SD_BUS_TYPE_VARIANT || !fits(k->type, contents))
                return -EBADMSG;
        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_VARIANT, contents);
        if (r >= 0)
                r = k->type == KEY_TEXT ? read_text(m, member) : k->type == KEY_TEXTS ? read_texts(m, contents, member) :
                    read_number(m, contents, member);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Entered is the array of one item. */
static int read_item(sd_bus_message *m, const Key *keys, void *item) {
        const char *name;
        int r;

        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                const Key *k = keys;

                r = sd_bus_message_read(m, "s", &name);
                while (r >= 0 && k->name && !streq(k->name, name))
                        k++;
                if (r >= 0)
                        r = k->name ? read_value(m, k, item) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : fill_texts(keys, item);
}

int fwupd_read(sd_bus_message *m, FwupdList list, void **ret, size_t *ret_n) {
        size_t size = lists[list].size, n = 0, capacity = 0;
        char *items = NULL;
        int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "a{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}")) > 0) {
                if (n == capacity) {
                        size_t more = capacity ? capacity * 2 : 8;
                        char *grown = n < ITEMS_MAX ? reallocarray(items, more, size) : NULL;
                        if (!grown) {
                                r = n < ITEMS_MAX ? -ENOMEM : -E2BIG;
                                break;
                        }
                        items = grown;
                        capacity = more;
                }
                memset(items + n * size, 0, size);
                r = read_item(m, lists[list].keys, items + n++ * size);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0) {
                fwupd_free(list, items, n);
                return r;
        }
        *ret = items;
        *ret_n = n;
        return 0;
}

/* ---- devices ---- */

bool fwupd_device_is(const FwupdDevice *d, const char *id) {
        if (strcasecmp(d->id, id) == 0)
                return true;
        for (char **g = d->guids; g && *g; g++)
                if (strcasecmp(*g, id) == 0)
                        return true;
        return false;
}

bool fwupd_signal_may_concern(sd_bus_message *m, const char *id) {
        FwupdDevice d = {};
        int r = startswith(sd_bus_message_get_member(m), "Device") ? sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}") : -EINVAL;

        if (r > 0)
                r = read_item(m, device_keys, &d);
        bool may = r < 0 || !*d.id || fwupd_device_is(&d, id);
        item_done(device_keys, &d);
        return may;
}

bool fwupd_device_is_pending(const FwupdDevice *d) {
        return d->update_state == FWUPD_UPDATE_NEEDS_REBOOT ||
               (d->flags & (FWUPD_DEVICE_NEEDS_REBOOT | FWUPD_DEVICE_NEEDS_SHUTDOWN | FWUPD_DEVICE_NEEDS_ACTIVATION));
}

/* ---- releases ---- */

/* What relative locations are relative to; its length, or 0. */
static size_t folder_of(const FwupdRemote *r, const char **ret) {
        bool on_host = r->type == FWUPD_REMOTE_LOCAL || r->type == FWUPD_REMOTE_DIRECTORY;
        const char *slash;

        *ret = on_host && *r->cache ? r->cache : r->uri;
        slash = strrchr(*ret, '/');
        if (r->type == FWUPD_REMOTE_DIRECTORY && *ret == r->cache)
                return strlen(*ret);
        return slash ? (size_t) (slash - *ret) : 0;
}

int fwupd_release_location(const FwupdRelease *release, const FwupdRemote *remote, char **ret) {
        const char *location = release->locations && *release->locations ? *release->locations : release->uri;
        const char *slash = strrchr(location, '/'), *base = slash ? slash + 1 : location;
        const char *folder = "";
        size_t size = remote ? folder_of(remote, &folder) : 0;
        int r;

        if (!*base)
                return -ENOENT;
        if (remote && *remote->firmware_base) {
                bool has_slash = endswith(remote->firmware_base, "/");
                r = asprintf(ret, "%s%s%s", remote->firmware_base, has_slash ? "" : "/", base);
        } else if (*location == '/' || strstr(location, "://"))
                r = asprintf(ret, "%s", location);
        else if (size > 0)
                r = asprintf(ret, "%.*s/%s", (int) size, folder, location);
        else
                return -ENOENT;
        if (r < 0)
                *ret = NULL;
        return r < 0 ? -ENOMEM : 0;
}
