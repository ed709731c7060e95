// Draws what is in sight: a thin line from open to close, a box an exchange, marks where something was decided. What is
// narrower than a few pixels is drawn as a block without marks, and how many these were is counted.

const BOX = 12;
// Pixels from which on a connection has marks, and from which on its exchanges are told apart.
const MARKED = 8;
const APART = 3;
const FADED = 0.16;
// How far apart marks are set that would cover each other.
const BESIDE = 12;

class Painter {
  constructor(context, view, layout, look) {
    this.context = context;
    this.view = view;
    this.layout = layout;
    // Which rows stand out (null: all alike), which one is chosen, which one the pointer is on.
    this.look = look;
    this.blocks = 0;
  }

  x(time) {
    return this.view.left + ((time - this.view.from) / (this.view.to - this.view.from)) * this.view.width;
  }

  draw(scrolled, height) {
    const { context, view } = this;
    this.grid(height);
    const bottom = scrolled + height;
    for (const group of this.layout.groups) {
      const end = group.top + HEAD + group.lanes.length * LANE;
      if (end < scrolled + RULER || group.top > bottom) continue;
      const first = Math.max(0, Math.floor((scrolled + RULER - group.top - HEAD) / LANE));
      const last = Math.min(group.lanes.length, Math.ceil((bottom - group.top - HEAD) / LANE));
      for (let number = first; number < last; number++) {
        const y = group.top + HEAD + number * LANE + LANE / 2 - scrolled;
        this.stripe(group, group.lanes[number], y);
        context.save();
        context.beginPath();
        context.rect(view.left - 1, y - LANE / 2, view.width + view.right + 1, LANE);
        context.clip();
        this.lane(group.lanes[number], y);
        context.restore();
      }
      this.head(group, scrolled);
    }
    this.ruler();
  }

  // ---- around the connections

  grid(height) {
    const { context, view } = this;
    context.fillStyle = colours.line;
    for (const time of this.ticks()) context.fillRect(Math.round(this.x(time)), RULER, 1, height - RULER);
    context.fillRect(view.left - 1, RULER, 1, height - RULER);
  }

  ticks() {
    const { from, to, width } = this.view;
    const step = niceStep(to - from, Math.max(2, width / 80));
    const ticks = [];
    for (let number = Math.ceil(from / step); number * step <= to; number++) ticks.push(number * step);
    this.step = step;
    return ticks;
  }

  ruler() {
    const { context, view } = this;
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, view.left + view.width + view.right, RULER);
    context.font = `11px ${colours.font}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillStyle = colours.quiet;
    const end = view.left + view.width + view.right;
    for (const time of this.ticks()) {
      const x = Math.round(this.x(time));
      const text = tickText(time, this.step);
      context.fillRect(x, RULER - 6, 1, 6);
      if (x + 12 + context.measureText(text).width < end) context.fillText(text, x + 4, RULER / 2);
    }
    context.fillStyle = colours.line;
    context.fillRect(0, RULER - 1, end, 1);
  }

  head(group, scrolled) {
    const { context, view } = this;
    // It stays below the ruler while its connections pass.
    const last = group.top + group.lanes.length * LANE - scrolled;
    const y = Math.min(Math.max(group.top - scrolled, RULER), Math.max(last, group.top - scrolled));
    context.fillStyle = colours.shade;
    context.fillRect(0, y, view.left + view.width + view.right, HEAD - 2);
    context.font = `600 12px ${colours.font}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillStyle = colours.text;
    const label = strings[data.servers.label[group.server]];
    context.fillText(label, 8, y + HEAD / 2 - 1);
    const after = 8 + context.measureText(label).width + 14;
    context.font = `12px ${colours.font}`;
    context.fillStyle = colours.quiet;
    const lanes = group.isPacked ? `, one after the other in ${plural(group.lanes.length, "lane")}` : "";
    context.fillText(plural(group.size, "connection") + lanes, after, y + HEAD / 2 - 1);
  }

  // What a lane of one connection is called at the left, and a stripe where the pointer or the choice is.
  stripe(group, lane, y) {
    const { context, view, look } = this;
    const isOn = lane.length === 1 && (lane[0] === look.chosen || lane[0] === look.under);
    if (isOn) {
      context.fillStyle = colours.shade;
      context.fillRect(0, y - LANE / 2, view.left + view.width + view.right, LANE);
    }
    if (group.isPacked || view.left < 30) return;
    const row = lane[0];
    const text = `#${connections.id[row]}` + (view.left > 100 ? ` ${clientOf(row)}` : "");
    context.globalAlpha = this.alpha(row) === 1 ? 1 : 0.45;
    context.font = `${row === look.chosen ? "600 " : ""}11px ${colours.font}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillStyle = row === look.chosen ? colours.text : colours.quiet;
    context.fillText(text, 8, y, view.left - 14);
    context.globalAlpha = 1;
  }

  // ---- connections

  alpha(row) {
    return this.look.standing === null || this.look.standing[row] ? 1 : FADED;
  }

  lane(lane, y) {
    const { view } = this;
    let behind = -1;
    for (let place = Math.max(0, lastBegun(lane, view.from)); place < lane.length; place++) {
      const row = lane[place];
      if (connections.start[row] > view.to) break;
      const end = Math.max(closeOf(row), connections.end[row]);
      if (end < view.from && place + 1 < lane.length && connections.start[lane[place + 1]] <= view.from) continue;
      const x = this.x(connections.start[row]);
      const width = this.x(closeOf(row)) - x;
      if (width >= APART || lane.length === 1) {
        this.connection(row, x, width, y, place + 1 < lane.length ? this.x(connections.start[lane[place + 1]]) : Infinity);
      } else {
        this.blocks += 1;
        if (x - behind < 1 && row !== this.look.chosen && this.alpha(row) !== 1) continue;
        this.block(row, x, width, y);
        behind = x;
      }
    }
  }

  block(row, x, width, y) {
    const { context } = this;
    context.globalAlpha = this.alpha(row);
    context.fillStyle = protocolColour(protocolOf(row));
    context.fillRect(x, y - BOX / 2, Math.max(1.5, width), BOX);
    context.globalAlpha = 1;
    if (row === this.look.chosen || row === this.look.under) this.ring(x, width, y);
  }

  connection(row, x, width, y, next) {
    const { context, look } = this;
    context.globalAlpha = this.alpha(row);
    context.fillStyle = protocolColour(protocolOf(row));
    const [from, to] = this.inSight(x, x + width);
    context.fillRect(from, y - 1, Math.max(1, to - from), 2);
    if (openingOf(row) !== "mid-stream") drawOpening(context, x, y);
    this.halfClosed(row, x + width, y);
    this.exchanges(row, y);
    if (width >= MARKED || look.chosen === row || next - (x + width) > 2 * MARKED) this.marks(row, x + width, y);
    context.globalAlpha = 1;
    if (row === look.chosen && this.layout.places.get(row)[0].isPacked) this.ring(x, width, y);
  }

  inSight(from, to) {
    const { left, width } = this.view;
    return [Math.max(from, left - 2), Math.min(to, left + width + 2)];
  }

  ring(x, width, y) {
    const { context } = this;
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.strokeRect(x - 3, y - LANE / 2 + 1, Math.max(1.5, width) + 6, LANE - 2);
  }

  halfClosed(row, x, y) {
    const [from, to] = this.inSight(x, this.x(connections.end[row]));
    if (!isClosed(row) || to - from < 2) return;
    drawTail(this.context, from, to, y);
  }

  exchanges(row, y) {
    const { view } = this;
    const start = connections.start[row];
    const first = exchangesFrom[row];
    const { count: several, numbers } = tracksOf(row);
    const tall = several === 1 ? BOX : Math.floor((BOX + 2 - several) / several) + 1;
    const behind = new Array(several).fill(-Infinity);
    this.context.fillStyle = protocolColour(protocolOf(row));
    for (let place = first; place < exchangesFrom[row + 1]; place++) {
      const begin = start + exchanges.begin[place];
      const end = begin + exchanges.finish[place];
      if (begin > view.to || end < view.from) continue;
      const track = numbers[place - first];
      const [from, to] = this.inSight(this.x(begin), Math.max(this.x(end), this.x(begin) + LEAST_BOX));
      // Boxes side by side in the same pixels are one.
      if (to <= behind[track]) continue;
      behind[track] = to;
      const top = y - Math.ceil((several * (tall + 1) - 1) / 2) + track * (tall + 1);
      const respond = exchanges.respond[place];
      drawBox(this.context, from, to, top, tall, respond === null ? from : Math.min(to, this.x(begin + respond)));
    }
  }

  marks(row, close, y) {
    const { context, view } = this;
    let behind = -Infinity;
    for (const place of marksOf.get(row) || []) {
      const isPing = strings[marks.what[place]] === "ping";
      const at = this.x(marks.at[place]);
      // Beside the close, not below it.
      const x = !isPing && Math.abs(at - close) < BESIDE ? close - BESIDE : at;
      // PINGs in the same pixels are one.
      if (isPing && x - behind < 3) continue;
      if (isPing) behind = x;
      (isPing ? drawPing : drawGoaway)(context, marks.by[place], x, y);
    }
    const start = connections.start[row];
    for (let place = exchangesFrom[row]; place < exchangesFrom[row + 1]; place++) {
      if (!exchanges.race[place]) continue;
      const at = this.x(start + exchanges.begin[place]);
      drawRace(context, Math.abs(at - close) < BESIDE ? close + BESIDE : at, y);
    }
    if (isClosed(row)) drawClose(context, connections.by[row], connections.reset[row], close, y);
    else if (wasOpen(row)) drawOpen(context, Math.min(close, view.left + view.width - 2), y);
    else drawUnopened(context, close + 4, y);
  }
}
