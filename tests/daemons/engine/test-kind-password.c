/* SPDX-License-Identifier: GPL-3.0-or-later */

/* password: made once, kept or not, and never shown. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType password_type;

static char sent[200];

/* The text that was sent last, without its quotes. */
static const char *take_sent(void) {
        _cleanup_free_ char *text = strbuf_take(&rig.host.sends);
        const char *begin = strrchr(text, '=');

        (void) snprintf(sent, sizeof(sent), "%s", begin ? begin + 2 : "nothing");
        sent[strcspn(sent, "\"")] = '\0';
        return sent;
}

static void store(char ret[static 300]) {
        _cleanup_free_ char *dir = NULL;

        CHECK_INT(resource_state_dir(rig.r, &dir), 0);
        (void) snprintf(ret, 300, "%spassword", dir);
}

static void check_store(const char *want) {
        _cleanup_free_ char *text = NULL;
        struct stat st;
        char path[300];

        store(path);
        CHECK_INT(read_file_at(AT_FDCWD, path, 1000, &text, NULL), 0);
        CHECK_STR(text, want);
        CHECK(stat(path, &st) >= 0 && (st.st_mode & 07777) == 0600);
}

TEST(a_saved_one_is_always_the_same) {
        RIG();
        char first[200], line[210];

        CHECK_INT(rig_make(&password_type, "p", FIELDS("length=40", "saved=true")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_STR(take_sent(), "nothing");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        (void) snprintf(first, sizeof(first), "%s", take_sent());
        CHECK_INT(strlen(first), 40);
        CHECK_INT(strspn(first, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), 40);
        CHECK(!rig.host.differences.data || !strstr(rig.host.differences.data, first));
        (void) snprintf(line, sizeof(line), "%s\n", first);
        check_store(line);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(take_sent(), first);

        CHECK_INT(rig_make(&password_type, "p", FIELDS("length=40", "saved=true")), 0);      /* another engine */
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(take_sent(), first);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK(!streq(take_sent(), first));
        CHECK_INT(strlen(sent), 40);
}

TEST(one_that_is_not_saved_is_sent_once) {
        RIG();

        CHECK_INT(rig_make(&password_type, "p", FIELDS()), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(strlen(take_sent()), 64);
        check_store("\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(take_sent(), "");
}

TEST(what_is_far_too_long_is_made_anew) {
        enum { SIZE = 100 * 1000 };
        _cleanup_free_ char *large = calloc(1, SIZE + 1);
        RIG();
        char path[300];

        REQUIRE(large);
        memset(large, 'a', SIZE);
        CHECK_INT(rig_make(&password_type, "p", FIELDS("saved=true")), 0);
        store(path);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, large, SIZE, 0600, false), 0);
        CHECK_INT(rig_apply(true), -EBADMSG);
        CHECK_INT(rig_make(&password_type, "p", FIELDS("saved=true", "check_recovery=true")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(strlen(take_sent()), 64);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(what_is_kept_is_looked_at) {
        static const char *const bad[] = { "short\n", "0123456789\n", "abcdefghijk\n" };
        RIG();
        char path[300];

        CHECK_INT(rig_make(&password_type, "p", FIELDS("length=10", "saved=true")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        store(path);
        rig_run(10000);
        rig.host.n_changed = 0;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CHECK_INT(write_file_atomic_at(AT_FDCWD, path, bad[i], strlen(bad[i]), 0600, false), 0);
                CHECK_INT(rig_apply(true), -EBADMSG);
                CHECK(rig.host.diag.message && !strstr(rig.host.diag.message, "0123"));
        }
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_make(&password_type, "p", FIELDS("length=10", "saved=true", "check_recovery=true")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        /* One that was saved is not sound for one that is not. */
        CHECK_INT(rig_make(&password_type, "p", FIELDS("length=10")), 0);
        CHECK_INT(rig_apply(true), -EBADMSG);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "is not empty, but saved is false"));
        CHECK_INT(rig_make(&password_type, "p", FIELDS("length=0")), -EINVAL);
}

TEST_MAIN()
