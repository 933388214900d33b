/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The real mgmt-engine, as a child on its real socket: random graphs of test resources, changes of the graph and of what is
 * outside, and SIGKILL whenever it comes. What the resources were asked stands in the log of their stage (stage.h), between the
 * marks that we write there ourselves; so all is judged from outside, line by line (kill-judge.h):
 *
 *      nothing is checked while what comes before it is being checked, or after that failed;
 *      a repair is told to those who are to be notified, once; only what was under way when it was killed may be told twice;
 *      the value is the one that was sent;
 *      what is to be undone when it goes is undone, once, and nothing else is; what is to be right once before it goes has been;
 *      and when nothing is in the way any more, all is repaired, and everything was checked since.
 *
 * MGMT_SEED=… plays one run again, MGMT_RUNS=… makes as many new ones as wanted. */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/ipc/channel.h"
#include "common/paths.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "tests/daemons/engine/kill-judge.h"
#include "tests/daemons/engine/kill-program.h"
#include "tests/test.h"

enum {
        RUNS = 20,
        MANY_RUNS = 200,
        LIMIT_MSEC = 20 * 1000,
        QUIET_ROUNDS = 3,       /* graphs that change nothing, before it counts as being at rest */
};

/* ---- the engine ---- */

typedef struct Run {
        sd_event *event;
        char dir[64];
        int listen_fd, log_fd;
        pid_t pid;
        Channel *channel;
        unsigned generation;            /* the last one that was sent */
        unsigned in_force;              /* the last one of which we know that it is */
        bool connected, wants_graph;
        bool open;                      /* sent and not answered */
        bool converged;
} Run;

static void mark(Run *run, const char *format, ...) _printf_(2, 3);
static void mark(Run *run, const char *format, ...) {
        char line[64];
        va_list ap;

        va_start(ap, format);
        int n = vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        CHECK_INT(write_all(run->log_fd, line, (size_t) n), 0);
}

static int make_socket(Run *run) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/engine.sock", run->dir);
        run->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (run->listen_fd < 0 || bind(run->listen_fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(run->listen_fd, 16) < 0)
                return -errno;
        return 0;
}

static _noreturn_ void exec_engine(const Run *run, const char *program) {
        char state[80], bus[100], log[80], pid[32];

        (void) snprintf(state, sizeof(state), "%s/state", run->dir);
        (void) snprintf(bus, sizeof(bus), "unix:path=%s/no-bus", run->dir);
        (void) snprintf(log, sizeof(log), "%s/engine.log", run->dir);
        (void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(run->listen_fd, 3) < 0)
                _exit(127);
        if (setenv("LISTEN_FDS", "1", 1) < 0 || setenv("LISTEN_PID", pid, 1) < 0 || setenv("MGMT_RUNTIME_DIR", run->dir, 1) < 0 ||
            setenv("MGMT_BUS_ADDRESS", bus, 1) < 0 || setenv("STATE_DIRECTORY", state, 1) < 0 || setenv("MGMT_LOG_LEVEL", "err", 1) < 0)
                _exit(127);
        (void) close_range(4, ~0U, 0);
        execl(program, program, "--converger-timeout=0", (char *) NULL);
        _exit(127);
}

static void start_engine(Run *run) {
        _cleanup_free_ char *program = path_daemon("engine");

        run->pid = fork();
        if (run->pid == 0)
                exec_engine(run, program);
        CHECK(run->pid > 0);
}

static void kill_engine(Run *run) {
        if (run->pid <= 0)
                return;
        (void) kill(run->pid, SIGKILL);
        CHECK_INT(waitpid(run->pid, NULL, 0), run->pid);
        run->pid = 0;
        run->connected = run->open = run->converged = false;    /* what it still said is of no interest */
        mark(run, "killed\n");
}

static uint64_t now_msec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

static void spin(Run *run, unsigned usec) {
        struct timespec a, b;

        (void) clock_gettime(CLOCK_MONOTONIC, &a);
        do {
                (void) sd_event_run(run->event, 200);
                (void) clock_gettime(CLOCK_MONOTONIC, &b);
        } while ((uint64_t) (b.tv_sec - a.tv_sec) * 1000000 + (uint64_t) b.tv_nsec / 1000 - (uint64_t) a.tv_nsec / 1000 < usec);
}

/* ---- what is said to it ---- */

static void tell(Run *run, Message m) {
        (void) channel_send(run->channel, 0, &m);
}

static void add_field(ResourceSpec *s, const char *name, Value v) {
        s->fields[s->n_fields++] = (FieldValue) { .name = strdup(name), .value = v };
}

static void tell_put(Run *run, unsigned x, const Declared *d) {
        Message m = { .type = MESSAGE_GRAPH_PUT };
        ResourceSpec *s = &m.graph_put.resource;
        char number[16];
        Value v;

        meta_init(&s->meta);
        s->meta.retry = -1;
        s->meta.delay = 2;
        s->meta.reverse = d->reverse;
        s->meta.realize = d->realize;
        if (d->semaphore) {
                s->meta.sema = calloc(2, sizeof(char *));
                s->meta.sema[0] = strdup("s");
        }
        s->kind = strdup("test");
        s->name = strdup((char[]) { (char) ('a' + x), '\0' });
        s->fields = calloc(3, sizeof(FieldValue));
        (void) value_strz(&v, run->dir);
        add_field(s, "stage", v);
        add_field(s, "wait", VALUE_INT((int64_t) d->wait));
        (void) snprintf(number, sizeof(number), "%u", d->value);
        (void) value_strz(&v, number);
        add_field(s, "sendvalue", v);
        tell(run, m);
        message_done(&m);
}

static void tell_edge(Run *run, unsigned x, unsigned y, Link link, bool cut) {
        char from[] = { (char) ('a' + x), '\0' }, to[] = { (char) ('a' + y), '\0' };
        EdgeSpec e = { .from_kind = (char *) "test", .from_name = from, .to_kind = (char *) "test", .to_name = to, .notify = link == LINK_NOTIFY };

        if (link == LINK_TRANSFER) {
                e.send_key = (char *) "hello";
                e.receive_field = (char *) "anotherstr";
        }
        if (cut)
                tell(run, (Message) { .type = MESSAGE_GRAPH_CUT, .graph_cut.edge = e });
        else
                tell(run, (Message) { .type = MESSAGE_GRAPH_EDGE, .graph_edge.edge = e });
}

static void tell_changes(Run *run, const Program *old, const Program *new, bool full) {
        for (unsigned x = 0; x < LETTERS; x++)
                if (new->letters[x].here && (full || !same_declared(&old->letters[x], &new->letters[x])))
                        tell_put(run, x, &new->letters[x]);
                else if (!full && old->letters[x].here && !new->letters[x].here)
                        tell(run, (Message) { .type = MESSAGE_GRAPH_REMOVE,
                                              .graph_remove = { .kind = (char *) "test", .name = (char[]) { (char) ('a' + x), '\0' } } });
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++) {
                        Link before = full ? LINK_NONE : old->links[x][y], after = new->links[x][y];
                        if (before == after)
                                continue;
                        if (before != LINK_NONE && new->letters[x].here && new->letters[y].here)
                                tell_edge(run, x, y, before, true);
                        if (after != LINK_NONE)
                                tell_edge(run, x, y, after, false);
                }
}

typedef enum Change {
        CHANGE_NOTHING,
        CHANGE_SOME,
} Change;

/* The next one waits for the answer, as mgmt-lang's does. */
static void send_graph(Run *run, bool full, Change change) {
        unsigned n = run->generation + 1;

        if (n >= GENERATIONS || run->open)
                return;
        graphs[n] = graphs[run->generation];
        if (n == 1 || change == CHANGE_SOME)
                change_randomly(&graphs[n], n == 1);
        mark(run, "sending %u\n", n);
        tell(run, (Message) { .type = MESSAGE_GRAPH_BEGIN, .graph_begin = { .generation = n, .full = full } });
        tell_changes(run, &graphs[run->generation], &graphs[n], full);
        tell(run, (Message) { .type = MESSAGE_GRAPH_COMMIT, .graph_commit.generation = n });
        run->generation = n;
        run->open = true;
}

/* "generation 5: 3 resources, 2 edges"; or "generation 5 waits: …", for somebody to be right once: then it is accepted, and in force
 * later. */
static void on_event(Run *run, const Message *m) {
        unsigned n;
        char what;

        if (streq_ptr(m->event.type, "converged"))
                run->converged = streq_ptr(m->event.state, "true");
        else if (streq_ptr(m->event.type, "graph") && sscanf(m->event.text ?: "", "generation %u%c", &n, &what) == 2 && what == ':') {
                run->in_force = n;
                mark(run, "accepted %u\n", n);
        }
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Run *run = userdata;

        if (!run->connected)
                return;
        switch (m->type) {
        case MESSAGE_GRAPH_ACCEPTED:
                run->open = false;
                break;
        case MESSAGE_GRAPH_REJECTED:
                TEST_FAIL("generation %u is rejected: %s", (unsigned) m->graph_rejected.generation, m->graph_rejected.diag.message);
                break;
        case MESSAGE_EVENT:
                on_event(run, m);
                break;
        default:
                break;
        }
}

static void on_connected(Channel *c, void *userdata) {
        Run *run = userdata;
        Message hello = { .type = MESSAGE_HELLO, .hello.role = (char *) "lang" };
        Message subscribe = { .type = MESSAGE_EVENTS_SUBSCRIBE };

        run->connected = run->wants_graph = true;
        run->open = run->converged = false;
        tell(run, hello);
        tell(run, subscribe);
}

static void on_disconnected(Channel *c, void *userdata) {
        Run *run = userdata;

        run->connected = run->open = run->converged = run->wants_graph = false;
}

static const ChannelOps ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

/* ---- what is outside ---- */

static void put_on_stage(const Run *run, unsigned x, const char *suffix, bool there) {
        char path[96];

        (void) snprintf(path, sizeof(path), "%s/%c.%s", run->dir, 'a' + (int) x, suffix);
        if (!there) {
                (void) unlink(path);
                return;
        }
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        (void) close(fd);
}

static bool is_on_stage(const Run *run, unsigned x, const char *suffix) {
        char path[96];

        (void) snprintf(path, sizeof(path), "%s/%c.%s", run->dir, 'a' + (int) x, suffix);
        return access(path, F_OK) == 0;
}

static bool is_wrong(const void *userdata, unsigned x) {
        return is_on_stage(userdata, x, "wrong");
}

static void answer_wanted(Run *run) {
        if (!run->wants_graph || run->open)
                return;
        run->wants_graph = false;
        send_graph(run, true, pick(3) == 0 ? CHANGE_SOME : CHANGE_NOTHING);
}

static void random_step(Run *run) {
        unsigned x = pick(LETTERS);

        answer_wanted(run);
        switch (pick(8)) {
        case 0:
        case 1:
                if (run->connected && !run->wants_graph)
                        send_graph(run, false, CHANGE_SOME);
                break;
        case 2:
                put_on_stage(run, x, "fails", true);
                break;
        case 3:
                put_on_stage(run, x, "fails", false);
                break;
        case 4:
                if (pick(2) > 0)
                        break;
                kill_engine(run);
                spin(run, 100);
                start_engine(run);
                break;
        default:
                put_on_stage(run, x, "wrong", true);
                break;
        }
        spin(run, pick(5) == 0 ? 8000 : pick(1500));
}

static bool is_at_rest(const Run *run) {
        for (unsigned x = 0; x < LETTERS; x++)
                if (graphs[run->generation].letters[x].here && is_on_stage(run, x, "wrong"))
                        return false;
        return run->connected && !run->open && !run->wants_graph && run->in_force == run->generation && run->converged;
}

/* What happened outside is seen, and done. Each graph that changes nothing goes once through the engine's loop, so what was to be seen
 * before has been seen after a few of them. */
static void come_to_rest(Run *run) {
        uint64_t limit = now_msec() + LIMIT_MSEC;
        unsigned rounds = 0;

        for (unsigned x = 0; x < LETTERS; x++)
                put_on_stage(run, x, "fails", false);
        while (rounds <= QUIET_ROUNDS && now_msec() < limit && run->generation < GENERATIONS - 1) {
                answer_wanted(run);
                if (!is_at_rest(run)) {
                        if (!run->open && run->in_force == run->generation)
                                rounds = 0;
                        (void) sd_event_run(run->event, 1000);
                } else if (rounds++ < QUIET_ROUNDS)
                        send_graph(run, false, CHANGE_NOTHING);
        }
        if (rounds <= QUIET_ROUNDS)
                TEST_FAIL("it does not come to rest: %sconnected, %sconverged, generation %u of %u", run->connected ? "" : "not ",
                          run->converged ? "" : "not ", run->in_force, run->generation);
        mark(run, "rest\n");
}

/* ---- the runs ---- */

static int begin_run(Run *run) {
        char path[96];

        *run = (Run) { .listen_fd = -EBADF, .log_fd = -EBADF };
        (void) snprintf(run->dir, sizeof(run->dir), "/tmp/test-kill-XXXXXX");
        if (!mkdtemp(run->dir))
                return -errno;
        (void) snprintf(path, sizeof(path), "%s/log", run->dir);
        run->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (run->log_fd < 0)
                return -errno;
        int r = make_socket(run);
        if (r >= 0)
                r = sd_event_new(&run->event);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "%s/engine.sock", run->dir);
        start_engine(run);
        return channel_connect(&run->channel, run->event, path, &ops, run);
}

static void end_run(Run *run) {
        kill_engine(run);
        channel_free(run->channel);
        sd_event_unref(run->event);
        closep(&run->listen_fd);
        closep(&run->log_fd);
        if (test_failures == 0)
                (void) remove_tree(run->dir);
        else
                printf("# see %s\n", run->dir);
}

static void one(uint64_t seed) {
        __attribute__((__cleanup__(end_run))) Run run;

        random_state = UINT64_C(0x9e3779b97f4a7c15) * (seed * 2 + 1);
        REQUIRE(begin_run(&run) >= 0);
        for (unsigned i = 0; i < STEPS && test_failures == 0; i++)
                random_step(&run);
        if (test_failures == 0)
                come_to_rest(&run);
        judge(run.dir, is_wrong, &run);
        if (test_failures > 0)
                printf("# in the run with MGMT_SEED=%" PRIu64 "\n", seed);
}

TEST(random_runs_with_kills) {
        const char *seed = getenv("MGMT_SEED"), *runs = getenv("MGMT_RUNS");
        uint64_t first = runs ? (uint64_t) time(NULL) * 1000000 : 1, n = runs ? strtoull(runs, NULL, 10) : RUNS;

        (void) log_set_level(LOG_EMERG);
        if (seed) {
                one(strtoull(seed, NULL, 10));
                return;
        }
        printf("# seeds %" PRIu64 " to %" PRIu64 "\n", first, first + n - 1);
        for (uint64_t i = 0; i < n && test_failures == 0; i++)
                one(first + i);
        printf("# %u kills, %u attempts, %u repairs, %u notified, %u kept, %u undone, %u realized\n", counts.kills, counts.begins, counts.changed,
               counts.notified, counts.kept, counts.undone, counts.held);
        CHECK(counts.kills > 0 && counts.changed > 0);
        if (n >= MANY_RUNS)     /* in a few of them there may be none */
                CHECK(counts.undone > 0 && counts.held > 0);
}

TEST_MAIN()
