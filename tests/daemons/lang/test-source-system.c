/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os.system: every line, in order, however they come; and no process that outlives its call. */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/daemons/lang/source-test.h"

/* The values it said, joined. */
static char *lines(const Call *c) {
        StrBuf b = {};

        for (size_t i = 0; i < c->n_history; i++) {
                strbuf_puts(&b, i > 0 ? "|" : "");
                strbuf_puts(&b, value_cstr(c->history[i]));
        }
        return strbuf_take(&b);
}

TEST(lines_come_one_by_one) {
        static const struct { const char *command, *want; unsigned n; } cases[] = {
                { "\"echo one\"", "one", 1 },
                { "\"echo one; echo two; echo three\"", "one|two|three", 3 },
                { "\"printf 'one\\ntwo'\"", "one|two", 2 },                             /* the last line need not end */
                { "\"printf 'dos\\r\\nunix\\n'\"", "dos|unix", 2 },
                { "\"printf '\\n\\nx\\n'\"", "||x", 3 },                                /* empty lines are lines */
                { "\"printf a; sleep 0.05; printf 'b\\nc'; sleep 0.05; echo d\"", "ab|cd", 2 },
                { "\"echo same; echo same; echo same\"", "same|same|same", 3 },
                { "\"echo for people >&2; echo for us\"", "for us", 1 },
                { "\"echo out; exit 3\"", "out", 1 },
                { "\"i=0; while test $i -lt 50; do echo $i; i=$((i + 1)); done\"",
                  "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28|29|30|31|32|33|34|35|36|37|38|39|40|41|42|"
                  "43|44|45|46|47|48|49", 50 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t fds = count_fds();
                Stage stage;
                Call c = {};

                stage_start(&stage);
                CHECK_INT(call_open(&stage, &c, "os.system", cases[i].command, NULL), 0);
                CHECK_INT(c.n_said, 0);         /* it never waits */
                CHECK(call_until(&c, cases[i].n));
                stage_run(&stage, 30);
                _cleanup_free_ char *got = lines(&c);
                CHECK_STR(got, cases[i].want);
                CHECK_INT(c.n_said, cases[i].n);
                call_close(&c);
                stage_end(&stage);
                CHECK_INT(count_fds(), fds);
        }
}

TEST(what_goes_wrong_is_said) {
        static const struct { const char *command, *want; } cases[] = {
                { "\"true\"", "error: command `true`: printed nothing, exit status 0" },
                { "\"exit 7\"", "error: command `exit 7`: printed nothing, exit status 7" },
                { "\"kill -TERM $$\"", "error: command `kill -TERM $$`: printed nothing, killed by SIGTERM" },
                { "\"echo only there >&2; false\"",
                  "error: command `echo only there >&2; false`: printed nothing, exit status 1" },
                { "\"head -c 20000000 /dev/zero\"", "error: command `head -c 20000000 /dev/zero`: a line is longer than 16 MiB" },
        };
        Stage stage;

        stage_start(&stage);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Call c = {};

                CHECK_INT(call_open(&stage, &c, "os.system", cases[i].command, NULL), 0);
                CHECK_SAYS(&c, cases[i].want);
                call_close(&c);
        }
        stage_end(&stage);
}

TEST(long_lines_are_whole) {
        Stage stage;
        Call c = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "os.system", "\"head -c 3000000 /dev/zero | tr '\\\\0' x; echo; echo end\"", NULL), 0);
        CHECK(call_until(&c, 2));
        REQUIRE(c.n_history == 2);
        CHECK_INT(c.history[0].s->size, 3000000);
        CHECK(strspn(value_cstr(c.history[0]), "x") == 3000000);
        CHECK_STR(c.text, "\"end\"");
        call_close(&c);
        stage_end(&stage);
}

/* The next line comes when the one before was taken, and a command that goes on and on waits for that: `yes` would fill all memory
 * in seconds. */
TEST(a_line_waits_until_the_one_before_is_taken) {
        Stage stage;
        Call c = { .held = true };

        char text[256];

        stage_start(&stage);
        (void) snprintf(text, sizeof(text), "\"seq 1 1000000; echo > %s/done\"", stage.directory);
        CHECK_INT(call_open(&stage, &c, "os.system", text, NULL), 0);
        CHECK(call_until(&c, 1));
        stage_run(&stage, 500);
        CHECK_INT(c.n_said, 1);
        CHECK(access(stage_path(&stage, "done"), F_OK) < 0);
        for (int i = 2; i <= 5000; i++) {
                char want[32];

                c.source->type->taken(c.source);
                CHECK(call_until(&c, (unsigned) i));
                (void) snprintf(want, sizeof(want), "\"%d\"", i);
                CHECK_STR(c.text, want);
        }
        call_close(&c);
        stage_end(&stage);
}


/* The whole group goes: also what the shell has started. Each process of it holds a FIFO open, so that the end of the last one
 * shows without a look at numbers. */
static void check_ends(const char *command, bool by_itself) {
        Stage stage;
        Call c = {};
        char byte, text[512];

        stage_start(&stage);
        const char *fifo = stage_path(&stage, "fifo");
        CHECK_INT(mkfifo(fifo, 0600), 0);
        int fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        (void) snprintf(text, sizeof(text), "\"exec 3>%s/fifo; %s\"", stage.directory, command);
        CHECK_INT(call_open(&stage, &c, "os.system", text, NULL), 0);
        CHECK_SAYS(&c, "\"ready\"");
        if (!by_itself) {
                CHECK_INT(read(fd, &byte, 1), -1);      /* somebody has it open, and has not written */
                call_close(&c);
        }
        for (int64_t end = now_msec() + PATIENCE_MSEC; read(fd, &byte, 1) != 0 && now_msec() < end;)
                stage_run(&stage, 5);
        CHECK_INT(read(fd, &byte, 1), 0);
        close(fd);
        call_close(&c);
        stage_end(&stage);
}

TEST(the_group_ends_with_the_call) {
        check_ends("sleep 1000 & sleep 1000 & echo ready; wait", false);
        check_ends("sh -c 'sleep 1000' | cat & echo ready; wait", false);
        check_ends("trap '' TERM INT HUP; echo ready; while :; do sleep 1000; done", false);
}

/* What is left behind in the background goes when the shell has ended. */
TEST(the_group_ends_with_the_shell) {
        check_ends("sleep 1000 & echo ready", true);
}

TEST(it_has_our_environment_and_no_input) {
        Stage stage;
        Call c = {};

        (void) setenv("MGMT_TEST_SYSTEM", "from outside", 1);
        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "os.system", "\"cat; echo $MGMT_TEST_SYSTEM\"", NULL), 0);
        CHECK_SAYS(&c, "\"from outside\"");
        call_close(&c);
        stage_end(&stage);
}

TEST_MAIN()
