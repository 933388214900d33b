/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The real mgmt-engine, as a child on its real socket: random graphs of test resources, changes of the graph and of what is
 * outside, and SIGKILL whenever it comes. What the resources were asked stands in the log of their stage (stage.h), between the
 * marks that we write there ourselves; so all is judged from outside, line by line:
 *
 *      nothing is checked while what comes before it is being checked, or after that failed;
 *      a repair is told to those who are to be notified, once; only what was under way when it was killed may be told twice;
 *      the value is the one that was sent;
 *      and when nothing is in the way any more, all is repaired, and everything was checked since.
 *
 * MGMT_SEED=… plays one run again, MGMT_RUNS=… makes as many as wanted. */

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
#include "tests/test.h"

enum {
        RUNS = 6,
        STEPS = 30,
        LETTERS = 8,
        GENERATIONS = STEPS * 3 + 50,
        LIMIT_MSEC = 20 * 1000,
};

static uint64_t random_state;

static unsigned pick(unsigned n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (unsigned) (random_state >> 33) % n;
}

/* ---- what is declared ---- */

typedef struct Declared {
        bool here, semaphore;
        unsigned wait, value;   /* milliseconds; what it sends */
} Declared;

typedef enum Link {
        LINK_NONE,
        LINK_ORDER,
        LINK_NOTIFY,
        LINK_TRANSFER,
} Link;

typedef struct Program {
        Declared letters[LETTERS];
        Link links[LETTERS][LETTERS];   /* only from a lower to a higher letter: no cycles */
} Program;

static Program graphs[GENERATIONS];      /* by generation; 0: nothing */

static void change_randomly(Program *g, bool anew) {
        for (unsigned x = 0; x < LETTERS; x++)
                if (anew || pick(5) == 0)
                        g->letters[x] = (Declared) {
                                .here = pick(5) > 0, .semaphore = pick(4) == 0, .wait = pick(3) == 0 ? 1 + pick(8) : 0, .value = pick(10),
                        };
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = x + 1; y < LETTERS; y++) {
                        if (anew || pick(12) == 0)
                                g->links[x][y] = pick(3) > 0 ? LINK_NONE : LINK_ORDER + pick(3);
                        if (!g->letters[x].here || !g->letters[y].here)
                                g->links[x][y] = LINK_NONE;
                        /* A field is received from one place. */
                        for (unsigned z = 0; z < x; z++)
                                if (g->links[x][y] == LINK_TRANSFER && g->links[z][y] == LINK_TRANSFER)
                                        g->links[x][y] = LINK_ORDER;
                }
}

/* ---- the engine ---- */

typedef struct Run {
        sd_event *event;
        char dir[64];
        int listen_fd, log_fd;
        pid_t pid;
        Channel *channel;
        unsigned generation;            /* the last one that was sent */
        bool connected, wants_graph, open, converged;
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

static bool same_declared(const Declared *a, const Declared *b) {
        return a->here == b->here && a->semaphore == b->semaphore && a->wait == b->wait && a->value == b->value;
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

/* The next one waits for the answer, as mgmt-lang's does. */
static void send_graph(Run *run, bool full) {
        unsigned n = run->generation + 1;

        if (n >= GENERATIONS || run->open)
                return;
        graphs[n] = graphs[run->generation];
        if (n == 1 || !full || pick(3) == 0)
                change_randomly(&graphs[n], n == 1);
        mark(run, "sending %u\n", n);
        tell(run, (Message) { .type = MESSAGE_GRAPH_BEGIN, .graph_begin = { .generation = n, .full = full } });
        tell_changes(run, &graphs[run->generation], &graphs[n], full);
        tell(run, (Message) { .type = MESSAGE_GRAPH_COMMIT, .graph_commit.generation = n });
        run->generation = n;
        run->open = true;
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Run *run = userdata;

        switch (m->type) {
        case MESSAGE_GRAPH_ACCEPTED:
                run->open = false;
                mark(run, "accepted %u\n", (unsigned) m->graph_accepted.generation);
                break;
        case MESSAGE_GRAPH_REJECTED:
                TEST_FAIL("generation %u is rejected: %s", (unsigned) m->graph_rejected.generation, m->graph_rejected.diag.message);
                break;
        case MESSAGE_EVENT:
                if (streq_ptr(m->event.type, "converged"))
                        run->converged = streq_ptr(m->event.state, "true");
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

static void random_step(Run *run) {
        unsigned x = pick(LETTERS);

        if (run->wants_graph && !run->open) {
                run->wants_graph = false;
                send_graph(run, true);
        }
        switch (pick(8)) {
        case 0:
        case 1:
                if (run->connected && !run->wants_graph)
                        send_graph(run, false);
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
        spin(run, pick(5) == 0 ? 30000 : pick(4000));
}

static void come_to_rest(Run *run) {
        uint64_t limit = now_msec() + LIMIT_MSEC;
        unsigned quiet = 0;

        for (unsigned x = 0; x < LETTERS; x++)
                put_on_stage(run, x, "fails", false);
        /* What happened outside is seen, and done, before it is quiet for a while. */
        while (now_msec() < limit && quiet < 10) {
                if (run->wants_graph && !run->open) {
                        run->wants_graph = false;
                        send_graph(run, true);
                }
                spin(run, 3000);
                quiet = run->connected && !run->open && !run->wants_graph && run->converged ? quiet + 1 : 0;
        }
        if (quiet < 10)
                TEST_FAIL("it does not come to rest: %sconnected, %sconverged", run->connected ? "" : "not ", run->converged ? "" : "not ");
        mark(run, "rest\n");
}

/* ---- the judgement ---- */

typedef enum Due {
        DUE_NO,
        DUE_MAY,
        DUE_MUST,
} Due;

typedef struct Seen {
        bool running;
        bool meanwhile;         /* its last attempt began between sending and accepting */
        enum { UNKNOWN, GOOD, BAD } last;       /* how the last attempt of this engine ended */
        bool maybe;             /* the attempt before was cut off */
        unsigned value;         /* last received */
        Due due[LETTERS], again[LETTERS];       /* by source; as it was told, and since then */
} Seen;

typedef struct Judge {
        Seen seen[LETTERS];
        const Program *old, *new;        /* between sending and accepting either may be in force */
        unsigned last_success;          /* letter, if its end was the line before; else LETTERS */
        unsigned n_line;
} Judge;

#define BLAME(j, ...) \
        do { \
                printf("# line %u of the log:\n", (j)->n_line); \
                TEST_FAIL(__VA_ARGS__); \
        } while (0)

static bool link_in_both(const Judge *j, unsigned x, unsigned y) {
        return j->old->links[x][y] != LINK_NONE && j->new->links[x][y] != LINK_NONE;
}

static void notify(Judge *j, unsigned x, Due due) {
        for (unsigned y = 0; y < LETTERS; y++) {
                bool old = j->old->links[x][y] == LINK_NOTIFY, new = j->new->links[x][y] == LINK_NOTIFY;
                Due this = old && new ? due : old || new ? DUE_MAY : DUE_NO;
                j->seen[y].again[x] = MAX(j->seen[y].again[x], this);
        }
}

static void judge_begin(Judge *j, unsigned y, bool notified, unsigned value) {
        Seen *s = &j->seen[y];
        Due due = DUE_NO;
        unsigned n = 0;

        if (s->running)
                BLAME(j, "%c is checked twice at once", 'a' + y);
        for (unsigned x = 0; x < LETTERS; x++) {
                if (link_in_both(j, x, y) && (j->seen[x].running || j->seen[x].last == BAD))
                        BLAME(j, "%c is checked %s %c, which comes before it", 'a' + y, j->seen[x].running ? "during" : "although it failed:", 'a' + x);
                if (j->old == j->new && j->new->links[x][y] == LINK_TRANSFER && value != j->new->letters[x].value)
                        BLAME(j, "%c received %u, not %u", 'a' + y, value, j->new->letters[x].value);
                s->due[x] = MAX(s->due[x], s->again[x]);
                s->again[x] = DUE_NO;
                due = MAX(due, s->due[x]);
                n += j->seen[x].running && j->old->letters[x].semaphore && j->new->letters[x].semaphore;
        }
        if (n > 0 && j->old->letters[y].semaphore && j->new->letters[y].semaphore)
                BLAME(j, "%c is checked although the semaphore is taken", 'a' + y);
        if (notified && due == DUE_NO)
                BLAME(j, "%c is notified of nothing", 'a' + y);
        if (!notified && due == DUE_MUST)
                BLAME(j, "%c is not notified", 'a' + y);
        s->running = true;
        s->meanwhile = j->old != j->new;
        s->last = UNKNOWN;
}

static void judge_end(Judge *j, unsigned x, const char *how) {
        Seen *s = &j->seen[x];

        if (!s->running)
                BLAME(j, "%c ends and has not begun", 'a' + x);
        s->running = false;
        if (streq(how, "cancelled")) {
                s->maybe = true;
                return;
        }
        s->last = streq(how, "failed") ? BAD : GOOD;
        if (s->last == BAD)
                return;
        for (unsigned z = 0; z < LETTERS; z++)
                s->due[z] = DUE_NO;
        if (streq(how, "changed"))
                notify(j, x, DUE_MUST);
        else if (s->maybe)
                notify(j, x, DUE_MAY);
        s->maybe = false;
        j->last_success = x;
}

/* Before the end of a good attempt is written to the journal nothing else is written to the log. */
static void judge_kill(Judge *j, const Due before[LETTERS]) {
        for (unsigned x = 0; x < LETTERS; x++) {
                Seen *s = &j->seen[x];
                s->maybe = s->maybe || s->running;
                /* Also of those that are not running: the journal is written before the log. */
                notify(j, x, DUE_MAY);
                s->running = false;
                s->last = UNKNOWN;
        }
        if (j->last_success < LETTERS)
                for (unsigned z = 0; z < LETTERS; z++)
                        if (before[z] != DUE_NO)
                                j->seen[j->last_success].due[z] = MAX(j->seen[j->last_success].due[z], (Due) DUE_MAY);
        j->old = &graphs[0];    /* of the notifications only those count whose edges the next graph has, too */
}

/* From here on what is no notification in the new graph may be void; at once, if there is no other graph. */
static void judge_sending(Judge *j, bool first) {
        if (first)
                j->old = j->new;
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned z = 0; z < LETTERS; z++)
                        if (j->new->links[z][x] != LINK_NOTIFY) {
                                Due most = first ? DUE_NO : DUE_MAY;
                                j->seen[x].due[z] = MIN(j->seen[x].due[z], most);
                                j->seen[x].again[z] = MIN(j->seen[x].again[z], most);
                        }
}

static void judge_accepted(Judge *j, const Program *before) {
        j->old = j->new;
        for (unsigned x = 0; x < LETTERS; x++) {
                Seen *s = &j->seen[x];
                /* The first graph of an engine finds nothing that could have been checked before. */
                if (before != &graphs[0] && !same_declared(&before->letters[x], &j->new->letters[x]) && (s->last != GOOD || !s->meanwhile))
                        s->last = UNKNOWN;
                s->meanwhile = false;
                for (unsigned z = 0; z < LETTERS; z++)
                        if (j->new->links[z][x] != LINK_NOTIFY)
                                s->due[z] = s->again[z] = DUE_NO;
                        else if (j->seen[z].maybe)
                                s->again[z] = MAX(s->again[z], (Due) DUE_MAY);
        }
}

static void judge_rest(Judge *j, const Run *run) {
        for (unsigned x = 0; x < LETTERS; x++) {
                const Seen *s = &j->seen[x];

                if (!j->new->letters[x].here)
                        continue;
                if (s->running || s->last != GOOD)
                        BLAME(j, "%c is not right in the end", 'a' + x);
                if (is_on_stage(run, x, "wrong"))
                        BLAME(j, "%c is not repaired in the end", 'a' + x);
                for (unsigned z = 0; z < LETTERS; z++)
                        if (MAX(s->due[z], s->again[z]) == DUE_MUST)
                                BLAME(j, "the notification %c -> %c is lost", 'a' + z, 'a' + x);
        }
}

static unsigned n_kills, n_begins, n_notified, n_changed;

static void judge(const Run *run) {
        _cleanup_free_ char *log = NULL;
        char path[96], *state = NULL;
        Judge j = { .old = &graphs[0], .new = &graphs[0], .last_success = LETTERS };
        Due before[LETTERS] = {};
        const Program *in_force = &graphs[0];

        (void) snprintf(path, sizeof(path), "%s/log", run->dir);
        REQUIRE(read_file_at(AT_FDCWD, path, 1 << 26, &log, NULL) >= 0);
        for (char *line = strtok_r(log, "\n", &state); line && test_failures == 0; line = strtok_r(NULL, "\n", &state)) {
                char word[32] = "", name = 0, how[32] = "";
                int n = sscanf(line, "%31s %c %31s", word, &name, how);
                unsigned x = (unsigned) (name - 'a'), last = j.last_success;

                j.n_line++;
                j.last_success = LETTERS;
                if (streq(word, "begin") || streq(word, "begin-notified")) {
                        n_begins++;
                        n_notified += word[5] != '\0';
                        judge_begin(&j, x, word[5] != '\0', n > 2 ? (unsigned) atoi(how) : 0);
                } else if (streq(word, "end")) {
                        n_changed += streq(how, "changed");
                        memcpy(before, j.seen[x].due, sizeof(before));
                        judge_end(&j, x, how);
                } else if (streq(word, "killed")) {
                        n_kills++;
                        j.last_success = last;
                        judge_kill(&j, before);
                        j.last_success = LETTERS;
                        in_force = &graphs[0];
                } else if (streq(word, "sending")) {
                        j.new = &graphs[atoi(line + 8)];
                        judge_sending(&j, in_force == &graphs[0]);
                } else if (streq(word, "accepted")) {
                        judge_accepted(&j, in_force);
                        in_force = j.new;
                } else if (streq(word, "rest"))
                        judge_rest(&j, run);
        }
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
        judge(&run);
        if (test_failures > 0)
                printf("# in the run with MGMT_SEED=%" PRIu64 "\n", seed);
}

TEST(random_runs_with_kills) {
        const char *seed = getenv("MGMT_SEED"), *runs = getenv("MGMT_RUNS");
        uint64_t first = (uint64_t) time(NULL) * 1000000, n = runs ? strtoull(runs, NULL, 10) : RUNS;

        (void) log_set_level(LOG_EMERG);
        if (seed) {
                one(strtoull(seed, NULL, 10));
                return;
        }
        printf("# seeds %" PRIu64 " to %" PRIu64 "\n", first, first + n - 1);
        for (uint64_t i = 0; i < n && test_failures == 0; i++)
                one(first + i);
        printf("# %u kills, %u attempts, %u repairs, %u notified\n", n_kills, n_begins, n_changed, n_notified);
        CHECK(n_kills > 0 && n_changed > 0);
}

TEST_MAIN()
