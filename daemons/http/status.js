// SPDX-License-Identifier: GPL-3.0-or-later
//
// The status page: reads the graph once, draws it, and then follows what the server tells. It can ask, and change nothing.
"use strict";

(() => {
        const NONE = 0xffffffff;        // the group of a resource that is in none
        const DRAWN_MAX = 600, LISTED_MAX = 500, CHANGES_MAX = 200, PROBLEMS_MAX = 20;
        const STATES = ["failed", "retrying", "drifted", "running", "waiting", "ok"];
        const $ = (selector) => document.querySelector(selector);
        const SVG = "http://www.w3.org/2000/svg";

        let vertices = [], edges = [], byId = new Map(), more = false;
        let told = 0;                   // number of the last state that the graph knows of
        const news = new Map();         // id → state that was told while the graph was read: which of both is newer shows then
        const chosenStates = new Set();
        let chosen = null;              // id of the resource that is shown

        /* ---- making elements ---- */

        const fill = (e, attributes, children) => {
                for (const [name, value] of Object.entries(attributes ?? {}))
                        if (name.startsWith("on"))
                                e.addEventListener(name.slice(2), value);
                        else if (value !== null && value !== undefined && value !== false)
                                e.setAttribute(name, value === true ? "" : value);
                e.append(...children.filter((c) => c !== null && c !== undefined));
                return e;
        };
        const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
        const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

        const time = (usec) => {
                const date = new Date(usec / 1000);
                const today = date.toDateString() === new Date().toDateString();
                return el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, today ? date.toLocaleTimeString() : date.toLocaleString());
        };

        const name = (id) => el("button", { class: "name", type: "button", onclick: () => choose(id) }, id);

        /* ---- data ---- */

        const take = (graph) => {
                more = graph.more;
                vertices = graph.vertices.map(([number, kind, n, group, state, noop, checked, applied, error, source]) =>
                        ({ number, kind, name: n, id: `${kind}[${n}]`, group, state, noop, checked, applied, error, source, members: [] }));
                const numbered = new Map(vertices.map((v) => [v.number, v]));
                for (const v of vertices) {
                        v.root = v;
                        while (v.root.group !== NONE && numbered.has(v.root.group))
                                v.root = numbered.get(v.root.group);
                        if (v.root !== v)
                                v.root.members.push(v);
                }
                const pairs = new Map();
                for (const [from, to, why] of graph.edges) {
                        const a = numbered.get(from)?.root, b = numbered.get(to)?.root;
                        if (!a || !b || a === b)
                                continue;
                        const key = `${a.number} ${b.number}`;
                        pairs.set(key, { from: a, to: b, why: (pairs.get(key)?.why ?? 0) | why });
                }
                edges = [...pairs.values()];
                byId = new Map(vertices.map((v) => [v.id, v]));
                told = graph.told;
                for (const [id, { number, ...state }] of news)
                        if (number > told && byId.has(id))
                                Object.assign(byId.get(id), state);
                news.clear();
        };

        const roots = () => vertices.filter((v) => v.root === v);

        const matches = (v) => {
                const text = $("#filter").value.trim().toLowerCase();
                return (chosenStates.size === 0 || chosenStates.has(v.state)) && (text === "" || v.id.toLowerCase().includes(text));
        };
        const rootMatches = (v) => matches(v) || v.members.some(matches);

        /* ---- the drawing: layers from left to right, in each as few crossings as a few sweeps give ---- */

        const LINE = 18, HEAD = 28, GAP = 14, COLUMN_GAP = 64, MARGIN = 20, MEMBERS = 6, LABEL = 38;
        const SMALLEST = 0.7;           /* what is wider than the page becomes so small that it can be read, and the rest is scrolled */

        const shorten = (s) => s.length > LABEL ? `${s.slice(0, LABEL / 2)}…${s.slice(1 - LABEL / 2)}` : s;

        const measure = (v) => {
                const rows = Math.min(v.members.length, MEMBERS + 1);
                const longest = Math.max(...[v, ...v.members.slice(0, MEMBERS)].map((m) => shorten(m.id).length));
                return { v, width: longest * 7.25 + 26, height: HEAD + (rows ? rows * LINE + 6 : 0), before: [], after: [], layer: 0 };
        };

        const layers = (boxes) => {
                const waiting = new Map(boxes.map((b) => [b, b.before.length]));
                const ready = boxes.filter((b) => b.before.length === 0);
                const out = [];
                for (let b; (b = ready.shift());) {
                        (out[b.layer] ??= []).push(b);
                        for (const next of b.after) {
                                next.layer = Math.max(next.layer, b.layer + 1);
                                waiting.set(next, waiting.get(next) - 1);
                                if (waiting.get(next) === 0)
                                        ready.push(next);
                        }
                }
                return out;
        };

        const place = (columns) => {
                const at = (list) => list.forEach((b, i) => { b.order = i; });
                columns.forEach(at);
                for (let sweep = 0; sweep < 6; sweep++)
                        for (const column of sweep % 2 ? [...columns].reverse() : columns) {
                                for (const b of column) {
                                        const near = sweep % 2 ? b.after : b.before;
                                        b.wish = near.length ? near.reduce((sum, n) => sum + n.order, 0) / near.length : b.order;
                                }
                                column.sort((a, b) => a.wish - b.wish);
                                at(column);
                        }
                const heights = columns.map((c) => c.reduce((sum, b) => sum + b.height + GAP, -GAP));
                const tallest = Math.max(0, ...heights);
                let x = MARGIN;
                columns.forEach((column, i) => {
                        let y = MARGIN + (tallest - heights[i]) / 2;
                        const width = Math.max(...column.map((b) => b.width));
                        for (const b of column) {
                                Object.assign(b, { x, y });
                                y += b.height + GAP;
                        }
                        x += width + COLUMN_GAP;
                });
                return { width: x - COLUMN_GAP + MARGIN, height: tallest + 2 * MARGIN };
        };

        /* Those without edges stand in rows below. */
        const placeAlone = (boxes, size, room) => {
                let x = MARGIN, y = size.height > 2 * MARGIN ? size.height : MARGIN, row = 0;
                for (const b of boxes) {
                        if (x > MARGIN && x + b.width + MARGIN > room) {
                                x = MARGIN;
                                y += row + GAP;
                                row = 0;
                        }
                        Object.assign(b, { x, y });
                        x += b.width + GAP;
                        row = Math.max(row, b.height);
                        size.width = Math.max(size.width, x - GAP + MARGIN);
                }
                size.height = boxes.length ? y + row + MARGIN : size.height;
        };

        const drawBox = (b) => {
                const texts = b.v.members.slice(0, MEMBERS).map((m, i) =>
                        svg("text", { class: "member", x: 13, y: HEAD + 8 + i * LINE }, shorten(m.id)));
                if (b.v.members.length > MEMBERS)
                        texts.push(svg("text", { class: "member", x: 13, y: HEAD + 8 + MEMBERS * LINE }, `and ${b.v.members.length - MEMBERS} more`));
                return svg("g", {
                        class: b.v.id === chosen ? "box chosen" : "box", transform: `translate(${b.x} ${b.y})`, "data-id": b.v.id, "data-state": b.v.state,
                        tabindex: 0, role: "button", "aria-label": `${b.v.id}: ${b.v.state}`, onclick: () => choose(b.v.id),
                        onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); choose(b.v.id); } },
                }, svg("title", {}, `${b.v.id}: ${b.v.state}${b.v.error ? `\n${b.v.error}` : ""}`),
                svg("rect", { width: b.width, height: b.height, rx: 7 }), svg("text", { x: 13, y: 18.5 }, shorten(b.v.id)), ...texts);
        };

        const classOf = (why) => why & 8 ? "notify" : why & 4 ? "value" : why & 1 ? "order" : "auto";
        const MEANINGS = { order: "comes before", auto: "comes before, as mgmt has found", notify: "notifies", value: "sends a value to" };

        const legend = (lines) => {
                const used = new Set(lines.map((e) => classOf(e.why)));
                $("#legend").replaceChildren(...Object.keys(MEANINGS).filter((c) => used.has(c)).map((c) => el("span", { class: c }, MEANINGS[c])));
        };

        const drawEdge = (from, to, why) => {
                const x1 = from.x + from.width, y1 = from.y + HEAD / 2, x2 = to.x - 4, y2 = to.y + HEAD / 2, bend = Math.max(24, (x2 - x1) / 2);
                return svg("path", {
                        class: classOf(why), "marker-end": "url(#arrow)",
                        d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
                });
        };

        const draw = () => {
                const shown = roots().filter(rootMatches), graph = $("#graph");
                if (shown.length === 0 || shown.length > DRAWN_MAX) {
                        graph.replaceChildren(el("p", {}, shown.length === 0 ? (vertices.length ? "Nothing matches." : "There are no resources.") :
                                `${shown.length} are too many to draw: filter.`));
                        legend([]);
                        return;
                }
                const boxes = new Map(shown.map((v) => [v, measure(v)]));
                const lines = edges.filter((e) => boxes.has(e.from) && boxes.has(e.to));
                for (const e of lines) {
                        boxes.get(e.from).after.push(boxes.get(e.to));
                        boxes.get(e.to).before.push(boxes.get(e.from));
                }
                const all = [...boxes.values()], linked = all.filter((b) => b.before.length || b.after.length);
                const size = place(layers(linked));
                placeAlone(all.filter((b) => !b.before.length && !b.after.length), size, Math.max(size.width, graph.clientWidth));
                const drawing = svg("svg", { width: size.width, height: size.height, viewBox: `0 0 ${size.width} ${size.height}` },
                        svg("defs", {}, svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
                                svg("path", { d: "M0 0L8 4L0 8z" }))),
                        ...lines.map((e) => drawEdge(boxes.get(e.from), boxes.get(e.to), e.why)), ...all.map(drawBox));
                drawing.style.minWidth = `${size.width * SMALLEST}px`;
                graph.replaceChildren(drawing);
                legend(lines);
        };

        /* ---- the rest of the page ---- */

        const state = (v) => el("span", { "data-state": v.state }, el("i", { class: "dot" }), ` ${v.state}${v.noop ? ", noop" : ""}`);

        const row = (v) => el("tr", { "data-id": v.id }, el("td", {}, state(v)),
                el("td", {}, name(v.id), v.error ? el("div", { class: "error" }, v.error) : null),
                el("td", {}, v.applied ? time(v.applied) : "–"));

        const list = () => {
                const shown = vertices.filter(matches).sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state));
                $("#list").replaceChildren(
                        shown.length ? el("table", {}, el("thead", {}, el("tr", {}, ...["State", "Resource", "Last change"].map((t) => el("th", { scope: "col" }, t)))),
                                el("tbody", {}, ...shown.slice(0, LISTED_MAX).map(row))) : el("p", {}, "Nothing matches."),
                        ...(shown.length > LISTED_MAX || more ? [el("p", {}, `There are more: filter.`)] : []));
        };

        const counts = () => {
                const n = Object.fromEntries(STATES.map((s) => [s, 0]));
                for (const v of vertices)
                        n[v.state] = (n[v.state] ?? 0) + 1;
                $(".states").replaceChildren(...STATES.filter((s) => n[s] || chosenStates.has(s)).map((s) =>
                        el("button", { type: "button", "data-state": s, "aria-pressed": String(chosenStates.has(s)), onclick: () => {
                                chosenStates.has(s) ? chosenStates.delete(s) : chosenStates.add(s);
                                render();
                                $(`.states [data-state="${s}"]`)?.focus();
                        } }, el("i", { class: "dot" }), s, el("b", {}, String(n[s])))));
        };

        const ask = async (v) => {
                const response = await fetch(`resource?${new URLSearchParams({ kind: v.kind, name: v.name })}`);
                if (!response.ok)
                        throw new Error(response.statusText);
                return response.json();
        };

        const placeOf = (source) => source.replace(/^\//, "");

        let problemsShown = 0;
        const problems = async () => {
                const bad = roots().filter((v) => v.state === "failed" || v.state === "retrying");
                const number = ++problemsShown;
                const told = await Promise.all(bad.slice(0, PROBLEMS_MAX).map((v) => ask(v).catch(() => ({}))));
                if (number !== problemsShown)
                        return;
                $("#problems").hidden = bad.length === 0;
                $("#problems > div").replaceChildren(...bad.slice(0, PROBLEMS_MAX).map((v, i) => el("div", {},
                        el("h3", { "data-state": v.state }, el("i", { class: "dot" }), name(v.id)), el("p", { class: "error" }, v.error),
                        v.source ? el("p", {}, placeOf(v.source), told[i].line ? el("pre", {}, told[i].line.trim()) : null) : null)));
        };

        const WAITS = {
                resource: (w) => [name(w), byId.get(w) ? ` (${byId.get(w).state})` : ""], semaphore: (w) => [`semaphore ${w}, which others have`],
                watch: (w) => ["the watch of ", name(w), ", which is not armed yet"], service: (w) => [`a service: ${w}`],
                limit: () => ["Meta:limit, which lets no event through yet"], delay: () => ["the delay before another try"],
                attempt: (w) => ["the attempt under way, at ", name(w)], turn: () => ["its turn"],
        };

        const details = (v, d) => {
                const rows = [];
                const add = (term, ...what) => rows.push(el("dt", {}, term), el("dd", {}, ...what));
                if (d.Source)
                        add("stands at", placeOf(d.Source), d.line ? el("pre", {}, d.line.trim()) : null);
                if (d.Group)
                        add("grouped into", name(d.Group));
                for (const [why, what] of d.Waiting ?? [])
                        add("waits for", ...(WAITS[why]?.(what) ?? [what]));
                if (d.LastError)
                        add(d.State === "waiting" ? "because" : "error", el("span", { class: "error" }, d.LastError));
                if (d.Failures)
                        add("failures in a row", `${d.Failures}, ${d.RetriesLeft < 0 ? "and goes on trying" : `${d.RetriesLeft} tries left`}`);
                for (const by of d.Notifications ?? [])
                        add("has to act on", name(by));
                if (d.NotifiedUSec)
                        add("notified last", time(d.NotifiedUSec), ...(d.NotifiedBy ? [" by ", name(d.NotifiedBy)] : []));
                add("last success", d.LastCheckUSec ? time(d.LastCheckUSec) : "never");
                add("last change", ...(d.LastApplyUSec ? [time(d.LastApplyUSec), d.LastChange ? `: ${d.LastChange}` : ""] : ["never"]));
                const before = edges.filter((e) => e.to === v.root).map((e) => e.from.id), after = edges.filter((e) => e.from === v.root).map((e) => e.to.id);
                for (const [term, ids] of [["comes after", before], ["comes before", after]])
                        if (ids.length)
                                add(term, ...ids.flatMap((id, i) => [i ? ", " : "", name(id)]));
                $("#one").replaceChildren(el("h3", { "data-state": d.State }, el("i", { class: "dot" }), v.id, ` ${d.State}${d.Noop ? ", noop" : ""}`), el("dl", {}, ...rows));
                $("#one").hidden = false;
        };

        let asked = 0;
        const choose = async (id, scroll = true) => {
                const v = byId.get(id);
                chosen = v ? id : null;
                for (const box of document.querySelectorAll(".box"))
                        box.classList.toggle("chosen", box.dataset.id === chosen || box.dataset.id === v?.root.id);
                if (!v) {
                        $("#one").hidden = true;
                        return;
                }
                try {
                        const number = ++asked, d = await ask(v);
                        if (chosen !== id || number !== asked)
                                return;
                        details(v, d);
                        if (scroll)
                                $("#one").scrollIntoView({ block: "nearest", behavior: "smooth" });
                } catch {
                        /* the engine has gone; what is shown stays */
                }
        };

        const render = () => {
                counts();
                draw();
                list();
        };

        /* ---- what the server tells ---- */

        let reading = false, again = false;
        const readGraph = async () => {
                again = reading;
                if (reading)
                        return;
                reading = true;
                let failed = false;
                try {
                        const response = await fetch("graph");
                        failed = !response.ok;
                        if (response.ok) {
                                take(await response.json());
                                render();
                                problems();
                                if (chosen)
                                        choose(chosen, false);
                        }
                } catch {
                        failed = true;
                }
                reading = false;
                if (again)
                        setTimeout(readGraph, 200);
                else if (failed && isOpen && engine.there)      /* else it is told when it is there again */
                        setTimeout(readGraph, 1000);
        };

        /* Many resources that change at a time are one update of the list. While the graph is read, what is known of it is old: then
           everything is shown anew afterwards, and what has left is not asked for. */
        let listed = 0;
        const later = () => {
                listed ||= setTimeout(() => {
                        listed = 0;
                        counts();
                        list();
                        if (chosen && !reading)
                                choose(chosen, false);
                }, 150);
        };

        const heard = ({ number, ...r }) => {
                const id = `${r.kind}[${r.name}]`, v = byId.get(id);
                if (reading)
                        news.set(id, { number, ...r });
                if (!v || number <= told)
                        return;
                const bad = v.state === "failed" || v.state === "retrying", changed = r.applied > v.applied;
                Object.assign(v, r);
                const box = document.querySelector(`.box[data-id="${CSS.escape(v.id)}"]`);
                if (box) {
                        box.dataset.state = v.state;
                        box.setAttribute("aria-label", `${v.id}: ${v.state}`);
                        box.querySelector("title").textContent = `${v.id}: ${v.state}${v.error ? `\n${v.error}` : ""}`;
                        if (changed) {
                                box.classList.add("fresh");
                                requestAnimationFrame(() => requestAnimationFrame(() => box.classList.remove("fresh")));
                        }
                }
                if (!reading && (bad || v.state === "failed" || v.state === "retrying"))
                        problems();
                later();
        };

        const WORDS = { changed: "changed", failed: "failed", recovered: "is right again" };
        const addChange = (c) => {
                const changes = $("#changes"), id = `${c.kind}[${c.name}]`;
                changes.querySelector(".none")?.remove();
                changes.prepend(el("li", {}, time(c.time), el("div", {}, name(id), ` ${WORDS[c.what]}`,
                        c.text ? el("div", { class: c.what === "failed" ? "error" : "text" }, c.text) : null)));
                while (changes.children.length > CHANGES_MAX)
                        changes.lastElementChild.remove();
        };

        let engine = { there: false, converged: false }, isOpen = false;
        const showLink = () => {
                const [kind, text] = !isOpen ? ["lost", "connecting…"] : !engine.there ? ["lost", "the engine is not running"] :
                        engine.converged ? ["done", "all is done"] : ["busy", "at work"];
                $(".link").dataset.link = kind;
                $(".link").textContent = text;
        };

        /* A page that nobody looks at does not listen: a browser has few connections to a server, and other pages want some. */
        let events = null;
        const listen = () => {
                if (events || document.hidden)
                        return;
                events = new EventSource("events");
                const on = (event, f) => events.addEventListener(event, (e) => f(JSON.parse(e.data)));

                events.addEventListener("error", () => {
                        isOpen = false;
                        showLink();
                        if (events?.readyState === EventSource.CLOSED) {
                                events = null;
                                setTimeout(listen, 1000);
                        }
                });
                on("hello", (all) => {
                        isOpen = true;
                        told = 0;       // by another server, perhaps, which counts anew
                        news.clear();
                        engine = all.engine;
                        showLink();
                        $("#changes").replaceChildren(...(all.changes.length ? [] : [el("li", { class: "none" }, "Nothing yet.")]));
                        all.changes.forEach(addChange);
                        readGraph();
                });
                on("engine", (state) => {
                        engine = state;
                        showLink();
                });
                on("graph", readGraph);
                on("resource", heard);
                on("change", addChange);
        };

        document.addEventListener("visibilitychange", () => {
                if (document.hidden) {
                        events?.close();
                        events = null;
                        isOpen = false;
                        showLink();
                } else
                        listen();
        });
        $("#filter").addEventListener("input", render);
        showLink();
        listen();
})();
