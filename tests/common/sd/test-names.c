/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Users and groups: in the files, and in a directory service that is as slow as one likes, because it is that of names-service.h. */

#include <fcntl.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/names.h"
#include "tests/names-service.h"
#include "tests/test.h"

/* ---- the stage ---- */

static char dir[] = "/tmp/test-names-XXXXXX";
static sd_event *event;
static Names *names;
static unsigned n_answers;
static int result;
static char answer[100];

static void write_etc(const char *file, const char *text) {
        char path[100];

        (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false), 0);
}

static void stage_begin(void) {
        (void) memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
        CHECK(mkdtemp(dir));
        write_etc("passwd", "root:x:0:0:root:/root:/bin/sh\n"
                            "# a remark\n"
                            "\n"
                            "+\n"
                            "+::7:7:::\n"
                            "short:x\n"
                            "odd:x:99999999999:1::/:\n"
                            "1234:x:55:56::/home/number:/bin/n\n"
                            "last:x:1001:1002:Last, First:/home/last:/bin/last");
        write_etc("group", "root:x:0:\nusers:x:100:a,b\n");
        CHECK_INT(sd_event_new(&event), 0);
        CHECK_INT(names_new(&names, event, dir), 0);
        n_answers = 0;
        names_asked = 0;
        names_delay_msec = 0;
        names_held = false;
        names_asked_by_loop = 0;
}

static void stage_end(int *unused) {
        names = names_free(names);
        event = sd_event_unref(event);
        (void) remove_tree(dir);
}

#define STAGE() \
        __attribute__((__cleanup__(stage_end), __unused__)) int stage_guard = 0; \
        stage_begin()

static void show(const NameEntry *e) {
        (void) snprintf(answer, sizeof(answer), "%s %u %u %s %s", e->name, (unsigned) e->id, (unsigned) e->group, e->home ?: "-", e->shell ?: "-");
}

static void on_answer(NameQuery *q, int r, NameEntry *e, void *userdata) {
        n_answers++;
        result = r;
        if (r >= 0)
                show(e);
        else
                answer[0] = '\0';
        if (userdata)
                *(NameQuery **) userdata = name_query_free(q);
}

/* At most for a minute: nothing takes so long but what hangs. */
static void run_until_answers(unsigned n) {
        time_t end = time(NULL) + 60;

        while (n_answers < n && time(NULL) < end)
                (void) sd_event_run(event, 10000);
}

/* 1: at once; 0: later; or what went wrong. */
static int find(NameKind kind, const char *text) {
        NameEntry e = {};
        NameQuery *q = NULL;

        int r = names_find(names, kind, text, &e, &q, on_answer, &q);
        if (r == 1)
                show(&e);
        name_entry_done(&e);
        unsigned before = n_answers;
        if (r == 0)
                run_until_answers(before + 1);
        CHECK(!q);
        return r == 0 ? result : r;
}

TEST(who_is_in_the_files_is_found_at_once) {
        static const struct {
                NameKind kind;
                const char *text, *want;
        } cases[] = {
                { NAME_USER, "root", "root 0 0 /root /bin/sh" },
                { NAME_USER, "0", "root 0 0 /root /bin/sh" },
                { NAME_USER, "last", "last 1001 1002 /home/last /bin/last" },
                { NAME_USER, "1001", "last 1001 1002 /home/last /bin/last" },
                { NAME_USER, "1234", "1234 55 56 /home/number /bin/n" },        /* no such number: a name */
                { NAME_GROUP, "users", "users 100 0 - -" },
                { NAME_GROUP, "0", "root 0 0 - -" },
        };
        STAGE();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(find(cases[i].kind, cases[i].text), 1);
                CHECK_STR(answer, cases[i].want);
        }
        CHECK_INT(names_asked, 0);
}

TEST(all_others_are_asked_for) {
        static const struct {
                NameKind kind;
                const char *text;
                int result;
                const char *want;
        } cases[] = {
                { NAME_USER, "far", 0, "far 5000 5001 /far/home /bin/far" },
                { NAME_USER, "5000", 0, "far 5000 5001 /far/home /bin/far" },
                { NAME_GROUP, "farers", 0, "farers 5001 0 - -" },
                { NAME_USER, "nobody there", -ESRCH, "" },
                { NAME_USER, "", -ESRCH, "" },
                { NAME_USER, "+", -ESRCH, "" },
                { NAME_USER, "7", -ESRCH, "" },
                { NAME_USER, "odd", -ESRCH, "" },
                { NAME_USER, "short", -ESRCH, "" },
                { NAME_USER, "root:x", -ESRCH, "" },
                { NAME_USER, "4294967295", -ESRCH, "" },
                { NAME_USER, "99999999999999999999", -ESRCH, "" },
                { NAME_GROUP, "4711", -ESRCH, "" },
                { NAME_USER, "sick", -EIO, "" },
        };
        STAGE();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned before = n_answers;
                int r = find(cases[i].kind, cases[i].text);
                if (r != cases[i].result || !streq(answer, cases[i].want) || n_answers != before + 1)
                        TEST_FAIL("%s: %d %s", cases[i].text, r, answer);
        }
}

TEST(a_changed_file_is_read_again) {
        STAGE();
        NameEntry e = {};

        CHECK_INT(names_find_local(names, NAME_USER, "new", &e), 0);
        write_etc("passwd", "new:x:1:2::/h:/s\n");
        CHECK_INT(names_find_local(names, NAME_USER, "new", &e), 1);
        name_entry_done(&e);
        CHECK_INT(names_find_local(names, NAME_USER, "root", &e), 0);
        char path[100];
        (void) snprintf(path, sizeof(path), "%s/passwd", dir);
        CHECK_INT(unlink(path), 0);
        CHECK_INT(names_find_local(names, NAME_USER, "new", &e), -ENOENT);
        CHECK_INT(find(NAME_USER, "far"), 0);           /* there are still others to ask */
}

TEST(the_loop_goes_on_meanwhile) {
        STAGE();
        NameQuery *q[6] = {};
        NameEntry e;

        names_held = true;
        for (size_t i = 0; i < ELEMENTSOF(q); i++)
                CHECK_INT(names_find(names, NAME_USER, "far", &e, &q[i], on_answer, NULL), 0);
        CHECK_INT(find(NAME_USER, "root"), 1);
        (void) sd_event_run(event, 10000);
        CHECK_INT(n_answers, 0);
        names_held = false;
        run_until_answers(ELEMENTSOF(q));
        CHECK_INT(n_answers, ELEMENTSOF(q));
        CHECK_INT(names_asked_by_loop, 0);
        for (size_t i = 0; i < ELEMENTSOF(q); i++)
                name_query_free(q[i]);
}

/* At every point of its way, and all of it. */
TEST(who_asks_may_lose_interest) {
        for (unsigned msec = 0; msec < 30; msec += 3) {
                STAGE();
                NameQuery *q[8] = {};
                NameEntry e;

                names_delay_msec = 10;
                for (size_t i = 0; i < ELEMENTSOF(q); i++)
                        CHECK_INT(names_find(names, NAME_USER, "far", &e, &q[i], on_answer, NULL), 0);
                (void) nanosleep(&(struct timespec) { .tv_nsec = (long) msec * 1000000 }, NULL);
                (void) sd_event_run(event, 0);
                for (size_t i = 0; i < ELEMENTSOF(q) / 2; i++)
                        name_query_free(q[i]);
                names = names_free(names);
                for (size_t i = ELEMENTSOF(q) / 2; i < ELEMENTSOF(q); i++)
                        name_query_free(q[i]);
        }
}

TEST_MAIN()
