// The list of connections: sorted by a click on a head, only the rows in sight are there. Keys move the choice.

const ROW = 26;
// Rows on paper.
const PRINTED = 300;

const COLUMNS = [
  { title: "id", text: (row) => String(connections.id[row]), order: (row) => connections.id[row], number: true },
  { title: "server", text: serverOf, order: serverOf },
  { title: "client", text: clientOf, order: clientOf, spare: true },
  { title: "protocol", text: protocolOf, order: protocolOf, spare: true },
  { title: "opened", text: openingOf, order: openingOf, spare: true },
  { title: "requests", text: requestsOf, order: (row) => connections.requests[row], number: true },
  { title: "closed by", text: closingOf, order: closingOf },
  { title: "idle", text: (row) => duration(connections.idle[row]), order: (row) => connections.idle[row], number: true },
  {
    title: "duration",
    text: (row) => duration(durationOf(row)),
    order: durationOf,
    number: true,
    spare: true,
  },
  { title: "state", text: (row) => strings[connections.state[row]], order: (row) => strings[connections.state[row]], spare: true },
];

function compared(a, b) {
  if (a === b) return 0;
  // What is not known comes last.
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

class Table {
  constructor(act) {
    this.box = document.getElementById("table");
    this.body = document.getElementById("rows");
    this.act = act;
    this.rows = [];
    this.order = [];
    this.lines = new Map();
    this.sorted = 0;
    this.isDescending = false;
    this.chosen = null;
    this.heads();
    this.box.addEventListener("scroll", () => this.fill());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest(".row");
      if (line) this.act.open(Number(line.dataset.row));
    });
    new ResizeObserver(() => this.fill()).observe(this.box);
  }

  heads() {
    const cells = COLUMNS.map((column, number) => {
      const cell = element("div", this.style(column), button("", column.title, () => this.sort(number)));
      cell.setAttribute("role", "columnheader");
      return cell;
    });
    document.getElementById("heads").replaceChildren(...cells);
    this.cells = cells;
  }

  style(column) {
    return [column.number ? "number" : "", column.spare ? "spare" : ""].join(" ").trim();
  }

  sort(number) {
    this.isDescending = number === this.sorted && !this.isDescending;
    this.sorted = number;
    this.arrange();
  }

  show(rows) {
    this.rows = rows;
    this.arrange();
  }

  arrange() {
    const { order } = COLUMNS[this.sorted];
    const keys = new Map(this.rows.map((row) => [row, order(row)]));
    const turn = this.isDescending ? -1 : 1;
    this.order = this.rows.slice().sort((a, b) => {
      const [left, right] = [keys.get(a), keys.get(b)];
      if (left === null || right === null) return compared(left, right) || a - b;
      return turn * compared(left, right) || a - b;
    });
    this.cells.forEach((cell, number) => {
      if (number === this.sorted) cell.setAttribute("aria-sort", this.isDescending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    this.box.setAttribute("aria-rowcount", String(this.order.length + 1));
    this.body.style.height = `${Math.max(1, this.order.length) * ROW}px`;
    this.clear();
    this.fill();
  }

  // No lines any more: their order has changed.
  clear() {
    this.lines = new Map();
    this.body.replaceChildren(...(this.order.length ? [] : [element("p", "quiet", "No connection matches.")]));
  }

  choose(row) {
    this.chosen = row;
    const place = row === null ? -1 : this.order.indexOf(row);
    if (place >= 0) this.intoSight(place);
    this.fill();
  }

  // Where a row is in the window; null where it is not listed.
  placeOf(row) {
    const place = this.order.indexOf(row);
    return place < 0 ? null : { top: this.body.getBoundingClientRect().top + place * ROW, height: ROW };
  }

  intoSight(place) {
    const head = this.cells[0].offsetHeight;
    const [top, room] = [this.box.scrollTop, this.box.clientHeight - head];
    if (place * ROW < top) this.box.scrollTop = place * ROW;
    else if ((place + 1) * ROW > top + room) this.box.scrollTop = (place + 1) * ROW - room;
  }

  fill(from, to) {
    const first = from === undefined ? Math.max(0, Math.floor(this.box.scrollTop / ROW) - 6) : from;
    const last = to === undefined ? Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + 6 : to;
    const wanted = this.order.slice(first, last);
    // Lines that stay in sight are kept: making them is what takes time.
    const kept = this.lines;
    this.lines = new Map(wanted.map((row, number) => [row, kept.get(row) || this.line(row, first + number)]));
    for (const [row, line] of kept) if (!this.lines.has(row)) line.remove();
    for (const [row, line] of this.lines) {
      line.setAttribute("aria-selected", String(row === this.chosen));
      if (!line.isConnected) this.body.append(line);
    }
    if (this.lines.has(this.chosen)) this.box.setAttribute("aria-activedescendant", `row-${this.chosen}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  line(row, place) {
    const line = element("div", place % 2 ? "row odd" : "row");
    line.id = `row-${row}`;
    line.dataset.row = String(row);
    line.setAttribute("role", "row");
    line.setAttribute("aria-rowindex", String(place + 2));
    line.style.top = `${place * ROW}px`;
    for (const column of COLUMNS) {
      const cell = element("div", this.style(column), column.text(row));
      cell.setAttribute("role", "gridcell");
      if (!column.number) cell.title = cell.textContent;
      line.append(cell);
    }
    return line;
  }

  key(event) {
    if (event.target !== this.box) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 2);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (event.key in steps && this.order.length) {
      event.preventDefault();
      const at = this.chosen === null ? -1 : this.order.indexOf(this.chosen);
      this.act.choose(this.order[stepped(this.order.length, at, steps[event.key])]);
    } else if ((event.key === "Enter" || event.key === " ") && this.chosen !== null) {
      event.preventDefault();
      this.act.open(this.chosen);
    } else if (event.key === "Escape") {
      this.act.clear();
    }
  }

  // On paper there is no scrolling: the first rows, and how many are left out.
  print() {
    const shown = Math.min(PRINTED, this.order.length);
    this.body.style.height = `${Math.max(1, shown) * ROW}px`;
    this.clear();
    this.fill(0, shown);
    const more = this.order.length - shown;
    const text = more ? `… and ${count(more)} more: the first ${count(shown)} are printed` : "";
    document.getElementById("printed").textContent = text;
  }
}
