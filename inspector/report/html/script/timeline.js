// The timeline: what of it is in sight, and what pointer, wheel, touch and keys do to that. Painter draws it.

// The least time that is shown (ns), and the most of the window's height that it takes.
const LEAST_SPAN = 2000;
const TALLEST = 0.62;
// How near the pointer must be (pixels).
const NEAR = 7;

class Timeline {
  constructor(act) {
    this.box = document.getElementById("timeline");
    this.canvas = document.getElementById("lines");
    this.room = document.getElementById("room");
    this.act = act;
    this.rows = [];
    this.look_ = { standing: null, chosen: null, under: null };
    const span = Math.max(data.span, 1000);
    this.first = -0.015 * span;
    this.last = 1.015 * span;
    this.view = { from: this.first, to: this.last, left: 0, width: 1, right: 0 };
    this.overview = new Overview(document.getElementById("overview"), this);
    this.hover = new Hover(document.getElementById("hover"));
    this.pointers = new Map();
    this.listen();
  }

  listen() {
    const box = this.box;
    box.addEventListener("scroll", () => this.redraw());
    box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    box.addEventListener("pointerdown", (event) => this.press(event));
    box.addEventListener("pointermove", (event) => this.move(event));
    box.addEventListener("pointerup", (event) => this.release(event));
    box.addEventListener("pointercancel", (event) => this.drop(event));
    box.addEventListener("pointerleave", () => this.leave());
    box.addEventListener("dblclick", (event) => this.zoom(0.4, this.time(event)));
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.redraw()).observe(box.parentElement);
  }

  // ---- what is shown

  show(rows, standing) {
    if (rows !== this.rows) {
      this.rows = rows;
      this.layout = arranged(rows);
      this.order = this.layout.groups.flatMap((group) => group.lanes.flat());
      this.resize();
    }
    this.look_.standing = standing;
    this.redraw();
  }

  resize() {
    const height = Math.max(RULER + HEAD + LANE, Math.min(this.layout.height, Math.round(window.innerHeight * TALLEST)));
    this.box.style.height = `${height + 2}px`;
    this.height = height;
    this.room.style.height = `${Math.max(0, this.layout.height - height)}px`;
  }

  // What is left and right of the times in a picture of this width.
  margins(width) {
    const isNamed = this.layout.groups.some((group) => !group.isPacked);
    return { left: !isNamed ? 10 : width >= 900 ? 176 : width >= 560 ? 60 : 38, right: 26 };
  }

  look(from, to) {
    const whole = this.last - this.first;
    const span = Math.min(Math.max(to - from, LEAST_SPAN), whole);
    const begin = Math.min(Math.max((from + to - span) / 2, this.first), this.last - span);
    this.view.from = begin;
    this.view.to = begin + span;
    this.redraw();
  }

  // These rows, from the first one's open to the last one's close, unless that is most of what there is.
  lookAt(rows) {
    const from = rows.reduce((least, row) => Math.min(least, connections.start[row]), Infinity);
    const to = rows.reduce((most, row) => Math.max(most, closeOf(row)), -Infinity);
    if (to - from > 0.6 * (this.last - this.first)) this.whole();
    else this.look(from - 0.05 * (to - from), to + 0.05 * (to - from));
    const [group, lane] = this.layout.places.get(rows[0]);
    const y = group.top + HEAD + lane * LANE - this.box.scrollTop;
    if (y < RULER + HEAD || y > this.height / 2) this.box.scrollTop = group.top - RULER + lane * LANE;
  }

  zoom(factor, around) {
    const { from, to } = this.view;
    const middle = around === undefined ? (from + to) / 2 : around;
    this.look(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  whole() {
    this.look(this.first, this.last);
  }

  choose(row) {
    this.look_.chosen = row;
    if (row !== null) this.intoSight(row);
    this.redraw();
  }

  // Where a row's lane is in the window; null where it is not drawn.
  placeOf(row) {
    const place = this.layout.places.get(row);
    if (!place) return null;
    const inside = place[0].top + HEAD + place[1] * LANE - this.box.scrollTop;
    return { top: this.box.getBoundingClientRect().top + this.box.clientTop + inside, height: LANE };
  }

  // Scroll and move so that a row can be seen.
  intoSight(row) {
    const place = this.layout.places.get(row);
    if (!place) return;
    const [group, lane] = place;
    const y = group.top + HEAD + lane * LANE;
    const top = this.box.scrollTop + RULER + HEAD;
    if (y < top) this.box.scrollTop = y - RULER - HEAD;
    else if (y + LANE > this.box.scrollTop + this.height) this.box.scrollTop = y + 2 * LANE - this.height;
    const { from, to } = this.view;
    const [start, end] = [connections.start[row], closeOf(row)];
    if (start > to || end < from) {
      const middle = end - start < to - from ? (start + end) / 2 : start + (to - from) / 2;
      this.look(middle - (to - from) / 2, middle + (to - from) / 2);
    }
  }

  redraw() {
    if (this.asked || !this.layout) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.paint();
    });
  }

  paint() {
    const width = this.box.clientWidth;
    const { left, right } = this.margins(width);
    Object.assign(this.view, { left, right, width: width - left - right });
    const context = sized(this.canvas, width, this.height);
    const painter = new Painter(context, this.view, this.layout, this.look_);
    painter.draw(this.box.scrollTop, this.height);
    this.overview.draw(this.rows);
    this.act.drawn(this.view, painter.blocks);
  }

  // ---- where something is

  time(event) {
    const box = this.box.getBoundingClientRect();
    const { from, to, left, width } = this.view;
    return from + ((event.clientX - box.left - this.box.clientLeft - left) / width) * (to - from);
  }

  // The row at the pointer, and how many others are in the same pixels.
  at(event) {
    const box = this.box.getBoundingClientRect();
    const y = event.clientY - box.top - this.box.clientTop;
    const lane = y < RULER ? null : laneAt(this.layout, y + this.box.scrollTop);
    if (!lane) return null;
    const time = this.time(event);
    const near = (NEAR / this.view.width) * (this.view.to - this.view.from);
    if (lane.length === 1) return { row: lane[0], others: 0, time, near };
    let found = null;
    let others = -1;
    let least = near;
    for (let place = lastBegun(lane, time + near); place >= 0; place--) {
      const row = lane[place];
      const [start, end] = [connections.start[row], Math.max(closeOf(row), connections.end[row])];
      if (end < time - near) break;
      others += 1;
      const away = Math.max(start - time, time - end, 0);
      if (away <= least && (found === null || away < least)) [found, least] = [row, away];
    }
    return found === null ? null : { row: found, others, time, near };
  }

  // ---- pointer

  press(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.travelled = 0;
    this.hover.hide();
  }

  move(event) {
    const held = this.pointers.get(event.pointerId);
    if (!held) {
      if (event.pointerType === "mouse") this.point(event);
      return;
    }
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    this.travelled += Math.abs(dx) + Math.abs(dy);
    if (this.pointers.size === 2) this.pinch(event, held);
    else if (this.travelled > 4) this.drag(event, dx, dy);
    [held.x, held.y] = [event.clientX, event.clientY];
  }

  drag(event, dx, dy) {
    this.box.setPointerCapture(event.pointerId);
    this.box.classList.add("held");
    const { from, to, width } = this.view;
    const by = (dx / width) * (to - from);
    if (event.pointerType === "mouse") this.box.scrollTop -= dy;
    this.look(from - by, to - by);
  }

  // Two fingers: what was between them stays there.
  pinch(event, held) {
    const [other] = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
    const before = Math.abs(held.x - other.x);
    const after = Math.abs(event.clientX - other.x);
    if (before > 10 && after > 10) this.zoom(before / after, this.time({ clientX: (event.clientX + other.x) / 2 }));
  }

  release(event) {
    const held = this.pointers.has(event.pointerId);
    this.drop(event);
    if (!held || this.travelled > 4) return;
    const found = this.at(event);
    if (found) this.act.open(found.row);
  }

  drop(event) {
    this.pointers.delete(event.pointerId);
    this.box.classList.remove("held");
  }

  point(event) {
    const found = this.at(event);
    const under = found ? found.row : null;
    this.box.classList.toggle("over", under !== null);
    if (under !== this.look_.under) {
      this.look_.under = under;
      this.redraw();
    }
    if (found) this.hover.show(event, found);
    else this.hover.hide();
  }

  leave() {
    this.hover.hide();
    if (this.look_.under === null) return;
    this.look_.under = null;
    this.redraw();
  }

  wheel(event) {
    const { from, to, width } = this.view;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 200))), this.time(event));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      const by = ((event.deltaX || event.deltaY) / width) * (to - from);
      this.look(from + by, to + by);
    }
    this.hover.hide();
  }

  // ---- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { from, to } = this.view;
    const step = (to - from) / 8;
    const acts = {
      ArrowLeft: () => this.look(from - step, to - step),
      ArrowRight: () => this.look(from + step, to + step),
      ArrowUp: () => this.step(-1),
      ArrowDown: () => this.step(1),
      Home: () => this.step(-Infinity),
      End: () => this.step(Infinity),
      "+": () => this.zoom(0.6),
      "=": () => this.zoom(0.6),
      "-": () => this.zoom(1 / 0.6),
      0: () => this.whole(),
      Enter: () => this.look_.chosen !== null && this.act.open(this.look_.chosen),
      " ": () => this.look_.chosen !== null && this.act.open(this.look_.chosen),
      Escape: () => this.act.clear(),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  step(by) {
    if (!this.order.length) return;
    const at = this.look_.chosen === null ? -1 : this.order.indexOf(this.look_.chosen);
    this.act.choose(this.order[stepped(this.order.length, at, by)]);
  }
}

// What is below the pointer, in a few lines.
class Hover {
  constructor(box) {
    this.box = box;
  }

  show(event, found) {
    this.box.replaceChildren(...hoverLines(found).map((line) => element("p", "", line)));
    this.box.hidden = false;
    const { width, height } = this.box.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 6);
    const y = event.clientY + 18 + height > window.innerHeight ? event.clientY - height - 12 : event.clientY + 18;
    this.box.style.left = `${Math.max(4, x)}px`;
    this.box.style.top = `${Math.max(4, y)}px`;
  }

  hide() {
    this.box.hidden = true;
  }
}

function connectionTitle(row) {
  return `#${connections.id[row]}  ${clientOf(row)} → ${serverOf(row)}`;
}

// A connection in a sentence or two.
function summary(row) {
  const handshake = connections.handshake[row] === null ? "" : ` in ${duration(connections.handshake[row])}`;
  const tls = connections.tls[row] === null ? "" : `, TLS in ${duration(connections.tls[row])}`;
  const requests = connections.requests[row] === 1 ? "1 request" : `${requestsOf(row)} requests`;
  const idle = connections.idle[row] === null ? "" : `, idle ${duration(connections.idle[row])}`;
  const close = isClosed(row)
    ? `closed by ${closingOf(row)} at ${sinceStart(connections.at[row])} s, packet ${count(connections.packet[row])}${idle}`
    : wasOpen(row)
      ? "not closed when the capture ended"
      : "never opened";
  return [
    `${protocolOf(row)}, ${openingOf(row)}${handshake}${tls}, ${requests}, packets ${count(connections.first[row])} to ${count(connections.last[row])}`,
    `from ${sinceStart(connections.start[row])} s for ${duration(durationOf(row))}, to its last packet`,
    close,
  ];
}

function hoverLines({ row, others, time, near }) {
  const lines = [connectionTitle(row), ...summary(row)];
  const start = connections.start[row];
  const met = [];
  for (let place = exchangesFrom[row]; place < exchangesFrom[row + 1] && met.length < 4; place++) {
    const begin = start + exchanges.begin[place];
    if (begin - near <= time && time <= begin + exchanges.finish[place] + near) met.push(place);
  }
  for (const place of met.slice(0, 3)) lines.push(exchangeLine(row, place));
  if (met.length > 3) lines.push("… and more requests here");
  for (const place of marksOf.get(row) || []) {
    if (Math.abs(marks.at[place] - time) > 2 * near || lines.length > 9) continue;
    const what = `${SIDES[marks.by[place]]} ${strings[marks.what[place]].toUpperCase()}`;
    lines.push(`${what}, ${strings[marks.text[place]]}, at ${sinceStart(marks.at[place])} s, packet ${count(marks.packet[place])}`);
  }
  if (others > 0) lines.push(`and ${plural(others, "other")} in the same pixels: zoom in`);
  return lines;
}

function exchangeLine(row, place) {
  const packets = [exchanges.asked[place], exchanges.answered[place]].filter((packet) => packet !== null).map(count);
  const race = exchanges.race[place] ? `, ${RACES[exchanges.race[place]]}` : "";
  const at = sinceStart(connections.start[row] + exchanges.begin[place]);
  return `${exchangeText(place)}${race}, at ${at} s, took ${duration(exchanges.finish[place])}, packets ${packets.join(" and ")}`;
}
