// The whole capture in a strip: how many connections were open at each time, and which part of it is in the picture.
// Dragging on it chooses another part.

class Overview {
  constructor(canvas, timeline) {
    this.canvas = canvas;
    this.timeline = timeline;
    this.dragged = null;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.end(event));
    canvas.addEventListener("pointercancel", () => (this.dragged = null));
  }

  // The most of these connections that were open at one time.
  atOnce(rows) {
    const lived = rows.filter((row) => wasOpen(row) && openingOf(row) !== "refused");
    const begins = Float64Array.from(lived, (row) => connections.start[row]).sort();
    const ends = Float64Array.from(lived, closeOf).sort();
    let most = 0;
    for (let begun = 0, ended = 0; begun < begins.length; begun++) {
      while (ends[ended] <= begins[begun]) ended += 1;
      most = Math.max(most, begun + 1 - ended);
    }
    return most;
  }

  // For each pixel, how many of these connections are open at some time in it.
  measure(rows, width) {
    const changes = new Int32Array(width + 2);
    const scale = width / (this.timeline.last - this.timeline.first);
    for (const row of rows) {
      const begin = Math.floor((connections.start[row] - this.timeline.first) * scale);
      const end = Math.floor((closeOf(row) - this.timeline.first) * scale);
      changes[Math.max(0, begin)] += 1;
      changes[Math.min(width, end) + 1] -= 1;
    }
    let open = 0;
    return Array.from(changes.subarray(0, width), (change) => (open += change));
  }

  draw(rows) {
    const { width, height } = { width: this.canvas.parentElement.clientWidth - 2, height: 42 };
    const context = sized(this.canvas, width, height);
    const { left, right } = this.timeline.margins(width);
    const inside = Math.max(1, Math.floor(width - left - right));
    if (this.rows !== rows) this.most = this.atOnce(rows);
    if (this.rows !== rows || this.inside !== inside) {
      this.open = this.measure(rows, inside);
      this.tallest = this.open.reduce((most, open) => Math.max(most, open), 1);
      [this.rows, this.inside] = [rows, inside];
    }
    context.fillStyle = colours.quiet;
    this.open.forEach((open, x) => {
      const tall = open ? Math.max(1, (open / this.tallest) * (height - 8)) : 0;
      context.fillRect(left + x, height - tall, 1, tall);
    });
    this.chosen(context, left, inside, height);
  }

  chosen(context, left, inside, height) {
    const { first, last, view } = this.timeline;
    const scale = inside / (last - first);
    const from = left + (view.from - first) * scale;
    const to = left + (view.to - first) * scale;
    context.fillStyle = colours.ground;
    context.globalAlpha = 0.65;
    context.fillRect(left, 0, Math.max(0, from - left), height);
    context.fillRect(to, 0, Math.max(0, left + inside - to), height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.strokeRect(from, 1, Math.max(2, to - from), height - 2);
  }

  time(event) {
    const box = this.canvas.getBoundingClientRect();
    const { left, right } = this.timeline.margins(box.width);
    const share = (event.clientX - box.left - left) / (box.width - left - right);
    return this.timeline.first + share * (this.timeline.last - this.timeline.first);
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.dragged = { x: event.clientX, time: this.time(event) };
  }

  move(event) {
    if (!this.dragged || Math.abs(event.clientX - this.dragged.x) < 4) return;
    const times = [this.dragged.time, this.time(event)].sort((a, b) => a - b);
    this.timeline.look(times[0], times[1]);
  }

  // A click without dragging moves the part to where it was.
  end(event) {
    if (this.dragged && Math.abs(event.clientX - this.dragged.x) < 4) {
      const { from, to } = this.timeline.view;
      const middle = this.time(event);
      this.timeline.look(middle - (to - from) / 2, middle + (to - from) / 2);
    }
    this.dragged = null;
  }
}
