/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The description of a domain: what it says, that nothing in it can become markup, and that libvirt understands it. */

#include <libvirt/libvirt.h>

#include "common/field.h"
#include "daemons/virt/connection.h"
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

TEST_MAIN()
