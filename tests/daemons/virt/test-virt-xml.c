/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The description of a domain: what it says, that nothing in it can become markup, and that libvirt understands it. */

#include <libvirt/libvirt.h>

#include "common/field.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/domain-change.h"
#include "daemons/virt/domain-xml.h"
#include "daemons/virt/xml.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

static char *boot[] = { (char *) "hd", (char *) "network", NULL };
static DomainFile disks[] = { { (char *) "/a.qcow2", (char *) "qcow2" }, { (char *) "/b.img", (char *) "" } };
static DomainFile cdroms[] = { { (char *) "/c.iso", (char *) "raw" } };
static DomainNetwork networks[] = { { (char *) "default", (char *) "52:54:00:01:02:03" }, { (char *) "other", (char *) "" } };
static DomainFilesystem filesystems[] = { { (char *) "mapped", (char *) "/srv", (char *) "share", true } };

static DomainSpec example(void) {
        return (DomainSpec) {
                .name = (char *) "web1",
                .memory_kib = 524288,
                .cpus = 2,
                .maxcpus = 3,
                .hotcpus = true,
                .osinit = (char *) "",
                .boot = boot,
                .disks = disks,
                .n_disks = ELEMENTSOF(disks),
                .cdroms = cdroms,
                .n_cdroms = ELEMENTSOF(cdroms),
                .networks = networks,
                .n_networks = ELEMENTSOF(networks),
                .filesystems = filesystems,
                .n_filesystems = ELEMENTSOF(filesystems),
        };
}

static void check_contains(const char *xml, const char *part) {
        if (!xml || !strstr(xml, part))
                TEST_FAIL("%s is not in\n# %s", part, xml ? xml : "(null)");
}

TEST(everything_has_its_place) {
        static const char *const parts[] = {
                "<domain type=\"kvm\">",
                "<name>web1</name>",
                "<memory unit=\"KiB\">524288</memory>",
                "<vcpu current=\"2\">3</vcpu>",
                "<vcpu id=\"0\" enabled=\"yes\" hotpluggable=\"no\" order=\"1\"/>",
                "<vcpu id=\"1\" enabled=\"yes\" hotpluggable=\"yes\" order=\"2\"/>",
                "<vcpu id=\"2\" enabled=\"no\" hotpluggable=\"yes\"/>",
                "<os><type>hvm</type><boot dev=\"hd\"/><boot dev=\"network\"/></os>",
                "<features><acpi/></features>",
                "<cpu mode=\"host-model\"/>",
                "<disk type=\"file\" device=\"disk\"><driver name=\"qemu\" type=\"qcow2\"/><source file=\"/a.qcow2\"/>"
                "<target dev=\"vda\" bus=\"virtio\"/></disk>",
                "<driver name=\"qemu\" type=\"raw\"/><source file=\"/b.img\"/><target dev=\"vdb\" bus=\"virtio\"/>",
                "<disk type=\"file\" device=\"cdrom\"><driver name=\"qemu\" type=\"raw\"/><source file=\"/c.iso\"/>"
                "<target dev=\"hda\" bus=\"ide\"/><readonly/></disk>",
                "<interface type=\"network\"><mac address=\"52:54:00:01:02:03\"/><source network=\"default\"/></interface>",
                "<interface type=\"network\"><source network=\"other\"/></interface>",
                "<filesystem type=\"mount\" accessmode=\"mapped\"><source dir=\"/srv\"/><target dir=\"share\"/><readonly/></filesystem>",
                "<channel type=\"unix\"><target type=\"virtio\" name=\"org.qemu.guest_agent.0\"/></channel>",
                "<serial type=\"pty\"/><console type=\"pty\"/>",
        };
        DomainSpec s = example();
        _cleanup_free_ char *xml = NULL;

        CHECK_INT(domain_xml_make(&s, "kvm", &xml, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                check_contains(xml, parts[i]);
}

TEST(a_container_is_described_differently) {
        DomainSpec s = example();
        _cleanup_free_ char *xml = NULL;

        s.osinit = (char *) "/sbin/init";
        s.hotcpus = false;
        s.n_cdroms = s.n_disks = 0;
        CHECK_INT(domain_xml_make(&s, "lxc", &xml, NULL), 0);
        check_contains(xml, "<domain type=\"lxc\">");
        check_contains(xml, "<type>exe</type><init>/sbin/init</init>");
        check_contains(xml, "<vcpu>2</vcpu>");
        CHECK(xml && !strstr(xml, "guest_agent") && !strstr(xml, "<serial") && !strstr(xml, "acpi") && !strstr(xml, "<cpu "));
}

TEST(names_cannot_become_markup) {
        DomainSpec s = example();
        DomainFile disk = { (char *) "/x\"/><evil a='&", (char *) "raw" };
        _cleanup_free_ char *xml = NULL;

        s.name = (char *) "</name><evil>&amp;";
        s.disks = &disk;
        s.n_disks = 1;
        CHECK_INT(domain_xml_make(&s, "test", &xml, NULL), 0);
        check_contains(xml, "<name>&lt;/name&gt;&lt;evil&gt;&amp;amp;</name>");
        CHECK(xml && !strstr(xml, "<evil"));
}

TEST(bytes_that_no_document_can_hold_are_refused) {
        static const char *const names[] = { "a\001b", "\xff\xfe", "a\033" };
        DomainSpec s = example();

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Diag diag = {};
                char *xml = NULL;

                s.name = (char *) names[i];
                CHECK_INT(domain_xml_make(&s, "test", &xml, &diag), -EINVAL);
                CHECK(!xml && diag.message);
                diag_done(&diag);
        }
}

TEST(disks_beyond_the_alphabet) {
        DomainSpec s = example();
        DomainFile many[60];
        _cleanup_free_ char *xml = NULL;

        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = disks[0];
        s.disks = many;
        s.n_disks = ELEMENTSOF(many);
        CHECK_INT(domain_xml_make(&s, "kvm", &xml, NULL), 0);
        check_contains(xml, "dev=\"vdz\"");
        check_contains(xml, "dev=\"vdaa\"");
        check_contains(xml, "dev=\"vdbh\"");            /* the 60th */
}

TEST(memory_that_runs_out_gives_no_half_description) {
        DomainSpec s = example();
        _cleanup_free_ char *whole = NULL;
        bool failed = true;
        uint64_t n;

        xml_init();
        REQUIRE(domain_xml_make(&s, "kvm", &whole, NULL) == 0);
        for (n = 1; failed && n < 10000; n++) {
                char *xml = NULL;

                alloc_fail_at(n);
                int r = domain_xml_make(&s, "kvm", &xml, NULL);
                failed = alloc_failed();
                if (r == 0)
                        CHECK_STR(xml, whole);
                else
                        CHECK(r == -ENOMEM && failed && !xml);
                free(xml);
        }
        CHECK(!failed && (n > 50 || !alloc_counts_bytes()));  /* sanitizers leave only our own calls to fail */
}

TEST(agents_are_found) {
        static const struct {
                const char *xml;
                bool want;
        } cases[] = {
                { "<domain><devices><channel><target name='org.qemu.guest_agent.0' state='connected'/></channel></devices></domain>", true },
                { "<domain><devices><channel/><channel><target name='org.qemu.guest_agent.0' state='connected'/></channel></devices></domain>", true },
                { "<domain><devices><channel><target name='org.qemu.guest_agent.0' state='disconnected'/></channel></devices></domain>", false },
                { "<domain><devices><channel><target name='com.redhat.spice.0' state='connected'/></channel></devices></domain>", false },
                { "<domain/>", false },
                { "", false },
                { "<<<", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (domain_xml_has_agent(cases[i].xml) != cases[i].want)
                        TEST_FAIL("not %d for %s", cases[i].want, cases[i].xml);
}

/* ---- changing ---- */

static const char existing[] =
        "<domain type='kvm'><name>web1</name><uuid>4f407417-6e45-4bf3-ba31-0ab12ad5c9f6</uuid><metadata><mine/></metadata>"
        "<memory unit='KiB'>2048</memory><currentMemory unit='KiB'>1024</currentMemory>"
        "<os><type arch='x86_64'>hvm</type><boot dev='hd'/><boot dev='network'/></os><devices>"
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a.qcow2'/>"
        "<target dev='vda' bus='virtio'/></disk>"
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/b.img'/><target dev='vdb' bus='virtio'/></disk>"
        "<disk type='block' device='disk'><source dev='/dev/sdz'/><target dev='vdc' bus='virtio'/></disk>"
        "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/c.iso'/><target dev='hda' bus='ide'/>"
        "<readonly/></disk>"
        "<interface type='network'><mac address='52:54:00:01:02:03'/><source network='default' bridge='virbr0'/></interface>"
        "<interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='other'/></interface>"
        "<interface type='bridge'><source bridge='br0'/></interface>"
        "<filesystem type='mount' accessmode='mapped'><source dir='/srv'/><target dir='share'/><readonly/></filesystem>"
        "<memballoon model='virtio'/></devices></domain>";

/* "field from>to" of each, with ! where it can be brought to a running domain. */
static char *change(const DomainSpec *s, const char *text, char **ret) {
        DomainDifferences list = {};
        char *said = strdup("");

        *ret = NULL;
        CHECK_INT(domain_xml_change(text, s, &list, ret, NULL), 0);
        for (size_t i = 0; i < list.n; i++) {
                const DomainDifference *d = list.items + i;
                char *more = NULL;

                CHECK_INT(d->device != NULL, d->how != DOMAIN_COLD);
                if (asprintf(&more, "%s%s %s>%s%s;", said, d->field, d->from ? d->from : "", d->to ? d->to : "", d->device ? "!" : "") < 0)
                        abort();
                free(said);
                said = more;
        }
        domain_differences_done(&list);
        return said;
}

TEST(what_is_right_stays_untouched) {
        DomainSpec s = example();
        _cleanup_free_ char *xml = NULL, *said = change(&s, existing, &xml);

        CHECK_STR(said, "");
        CHECK_STR(xml, NULL);
}

TEST(what_is_wrong_is_changed_and_nothing_else) {
        static char *other_boot[] = { (char *) "network", NULL };
        static DomainFile one[] = { { (char *) "/a.qcow2", (char *) "raw" } }, another[] = { { (char *) "/n<ew", (char *) "" } },
                          iso[] = { { (char *) "/d.iso", (char *) "raw" }, { (char *) "/e.iso", (char *) "raw" } };
        static DomainNetwork nets[] = { { (char *) "other", (char *) "" }, { (char *) "default", (char *) "52:54:00:01:02:04" },
                                        { (char *) "other", (char *) "" } };
        static DomainFilesystem mounts[] = { { (char *) "", (char *) "/srv2", (char *) "share", false },
                                             { (char *) "", (char *) "/x", (char *) "y", true } };
        const struct {
                DomainSpec spec;
                const char *said, *parts[3], *gone;
        } cases[] = {
                { { .boot = other_boot }, "boot hd network>network;", { "<boot dev=\"network\"/></os>" }, "dev='hd'" },
                { { .disks = one, .n_disks = 1 }, "disk qcow2>raw;disk /b.img>;", { "type=\"raw\" cache=\"none\"", "/dev/sdz" }, "/b.img" },
                { { .disks = another, .n_disks = 1 }, "disk >/n<ew!;disk /a.qcow2>;disk /b.img>;",
                  { "<source file=\"/n&lt;ew\"/><target dev=\"vdd\"" }, "/a.qcow2" },
                { { .cdroms = iso, .n_cdroms = 2 }, "cdrom /c.iso>/d.iso!;cdrom >/e.iso;",
                  { "<source file=\"/d.iso\"/><target dev=\"hda\"", "<source file=\"/e.iso\"/><target dev=\"hdb\"" }, "/c.iso" },
                { { .networks = nets, .n_networks = 3 }, "network >default!;network >other!;network default>;",
                  { "52:54:00:01:02:04", "52:54:00:aa:bb:cc", "bridge=\"br0\"" }, "52:54:00:01:02:03" },
                { { .filesystems = mounts, .n_filesystems = 2 }, "filesystem /srv>/srv2;filesystem read-only>writable;filesystem >y;",
                  { "accessmode=\"mapped\"><source dir=\"/srv2\"/><target dir=\"share\"/></filesystem>", "<target dir=\"y\"/><readonly/>" },
                  "\"/srv\"" },
                { {}, "", {}, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                DomainSpec s = cases[i].spec;
                _cleanup_free_ char *xml = NULL, *said = NULL, *again = NULL, *second = NULL;

                s.name = s.osinit = (char *) "";
                said = change(&s, existing, &xml);
                CHECK_STR(said, cases[i].said);
                if (!cases[i].said[0]) {
                        CHECK_STR(xml, NULL);
                        continue;
                }
                REQUIRE(xml);
                for (size_t k = 0; k < 3 && cases[i].parts[k]; k++)
                        check_contains(xml, cases[i].parts[k]);
                check_contains(xml, "<metadata><mine/></metadata>");
                CHECK(!strstr(xml, cases[i].gone));
                second = change(&s, xml, &again);
                CHECK_STR(second, "");
        }
}

TEST(an_interface_that_is_added_has_one_address_everywhere) {
        DomainNetwork net = { (char *) "third", (char *) "" };
        DomainSpec s = { .name = (char *) "", .osinit = (char *) "", .networks = &net, .n_networks = 1 };
        _cleanup_free_ char *a = NULL, *b = NULL, *said = change(&s, existing, &a), *again = change(&s, existing, &b);

        CHECK_STR(a, b);
        check_contains(a, "<mac address=\"52:54:00:");
        CHECK_STR(said, again);
}

TEST(memory_is_read) {
        DomainMemory m = {};

        CHECK_INT(domain_xml_read_memory(existing, &m, NULL), 0);
        CHECK_INT(m.maximum_kib, 2048);
        CHECK_INT(m.current_kib, 1024);
        CHECK(m.balloon);
        CHECK_INT(domain_xml_read_memory("<domain><memory>7</memory><devices><memballoon model='none'/></devices></domain>", &m, NULL), 0);
        CHECK_INT(m.maximum_kib, 7);
        CHECK_INT(m.current_kib, 7);
        CHECK(!m.balloon);
        CHECK_INT(domain_xml_read_memory("<domain", &m, NULL), -EBADMSG);
}

TEST(memory_that_runs_out_changes_nothing) {
        DomainNetwork net = { (char *) "third", (char *) "" };
        DomainSpec s = { .name = (char *) "", .osinit = (char *) "", .networks = &net, .n_networks = 1, .boot = boot, .disks = disks,
                         .n_disks = 1 };
        _cleanup_free_ char *whole = NULL, *said = change(&s, existing, &whole);
        bool failed = true;

        REQUIRE(said && whole);
        for (uint64_t n = 1; failed && n < 10000; n++) {
                DomainDifferences list = {};
                char *xml = NULL;

                alloc_fail_at(n);
                int r = domain_xml_change(existing, &s, &list, &xml, NULL);
                failed = alloc_failed();
                if (r == 0)
                        CHECK_STR(xml, whole);
                else
                        CHECK(failed && !xml);
                free(xml);
                domain_differences_done(&list);
        }
        CHECK(!failed);
}

TEST_MAIN()
