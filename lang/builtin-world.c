/* SPDX-License-Identifier: GPL-3.0-or-later */

/* value, world, world/collect and local: what resources, other hosts and this one keep in mgmt-world. */

#include "lang/builtins.h"

const Builtin world_builtins[] = {
        BUILTIN_WATCHED("local.pool", "func(namespace str, uid str) int",
                        "A number from 1 on that stands for uid on this host, in that namespace: the same one for ever.",
                        MCL(local.pool("ports", "web"))),
        BUILTIN_WATCHED("local.vardir", "func(path str) str",
                        "The absolute path of a directory on this host to keep things in, which is made; path is relative and "
                        "ends with a slash.",
                        MCL(local.vardir("web/"))),
        BUILTIN_WATCHED("value.get", "func(key str) struct{value ?1; ready bool}",
                        "What the resource value of that name keeps on this host, of the type it is used as, and whether there "
                        "is such a value.",
                        MCL(value.get("x")->value + 1)),
        BUILTIN_WATCHED("value.get_bool", "func(key str) struct{value bool; ready bool}",
                        "The bool that the resource value of that name keeps on this host, and whether there is such a value.",
                        MCL(value.get_bool("x"))),
        BUILTIN_WATCHED("value.get_float", "func(key str) struct{value float; ready bool}",
                        "The float that the resource value of that name keeps on this host, and whether there is such a value.",
                        MCL(value.get_float("x"))),
        BUILTIN_WATCHED("value.get_int", "func(key str) struct{value int; ready bool}",
                        "The int that the resource value of that name keeps on this host, and whether there is such a value.",
                        MCL(value.get_int("x"))),
        BUILTIN_WATCHED("value.get_str", "func(key str) struct{value str; ready bool}",
                        "The text that the resource value of that name keeps on this host, and whether there is such a value.",
                        MCL(value.get_str("x"))),
        BUILTIN_WATCHED("world.getval", "func(key str) struct{value str; exists bool}",
                        "The text that all hosts share under that key, as a resource kv keeps it, and whether there is one.",
                        MCL(world.getval("x"))),
        BUILTIN_WATCHED("world.kvlookup", "func(namespace str) map{str: str}",
                        "What each host says under that key: the values of resources kv with mapped, by host.",
                        MCL(world.kvlookup("x"))),
        BUILTIN_WATCHED("world.schedule", "func(namespace str) []str",
                        "The hosts that were chosen for that namespace.",
                        MCL(world.schedule("x"))),
        BUILTIN_WATCHED("world/collect.res", "func(kind str) []struct{name str; host str}",
                        "The resources of that kind which other hosts export to this one, for a collect statement.",
                        MCL(collect.res("file"))),
        {}
};
