// What the parts have in common: which connections match, which finding and which connection are chosen.

class Page {
  constructor() {
    this.words = [];
    this.finding = null;
    this.chosen = null;
    this.search = document.getElementById("search");
    this.timeline = new Timeline(this);
    this.table = new Table(this);
    this.story = new Story(this);
    this.charts = new Charts();
    this.listen();
    this.filter();
    // At once, so that nothing moves when the page is there.
    this.draw();
  }

  listen() {
    this.search.addEventListener("input", () => this.filter());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.find("");
    });
    for (const one of document.querySelectorAll("[data-finding]")) {
      one.addEventListener("click", () => this.toggle(Number(one.dataset.finding)));
    }
    for (const one of document.querySelectorAll("[data-copy]")) {
      one.addEventListener("click", () => this.copy(one.dataset.copy));
    }
    for (const one of document.querySelectorAll("[data-words]")) {
      one.addEventListener("click", () => {
        this.find(one.dataset.words);
        document.getElementById("picture").scrollIntoView();
      });
    }
    const acts = {
      "zoom-in": () => this.timeline.zoom(0.6),
      "zoom-out": () => this.timeline.zoom(1 / 0.6),
      "zoom-all": () => this.timeline.whole(),
    };
    for (const [id, act] of Object.entries(acts)) document.getElementById(id).addEventListener("click", act);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    window.addEventListener("resize", () => {
      this.timeline.resize();
      this.timeline.redraw();
    });
    window.addEventListener("beforeprint", () => this.print());
    window.addEventListener("afterprint", () => this.unprint());
  }

  // ---- what matches

  find(text) {
    this.search.value = text;
    this.filter();
  }

  filter() {
    this.words = this.search.value.toLowerCase().split(/\s+/).filter((word) => word);
    const matches = (row) => this.words.every((word) => textOf(row).includes(word));
    this.rows = this.words.length ? allRows.filter(matches) : allRows;
    this.update();
  }

  toggle(number) {
    this.finding = this.finding === number ? null : number;
    this.update();
    if (this.finding === null) return;
    if (this.listed.length) this.timeline.lookAt(this.listed);
    document.getElementById("picture").scrollIntoView({ block: "start" });
    this.say(`${plural(this.listed.length, "connection")} of this finding shown`);
  }

  update() {
    const members = this.finding === null ? null : findings[this.finding].members;
    this.listed = members === null ? this.rows : this.rows.filter((row) => members[row]);
    this.timeline.show(this.rows, members);
    this.table.show(this.listed);
    // They tell the whole: whoever types has finished first.
    clearTimeout(this.later);
    this.later = setTimeout(() => this.charts.show(this.listed), 150);
    for (const one of document.querySelectorAll("[data-finding]")) {
      const isChosen = Number(one.dataset.finding) === this.finding;
      one.setAttribute("aria-pressed", String(isChosen));
      one.closest(".finding").classList.toggle("chosen", isChosen);
    }
    const chips = document.getElementById("chosen");
    chips.replaceChildren();
    if (this.finding !== null) {
      const chip = button("", `× ${findings[this.finding].title}`, () => this.toggle(this.finding));
      chip.setAttribute("aria-label", `Stop showing only: ${findings[this.finding].title}`);
      chips.append(chip);
    }
    const of = this.listed.length === total ? "" : `${count(this.listed.length)} of `;
    document.getElementById("count").textContent = of + plural(total, "connection");
  }

  // What does not follow the pointer.
  draw() {
    clearTimeout(this.later);
    showLegend(allRows);
    this.charts.show(this.listed);
  }

  clear() {
    if (this.story.isOpen) this.story.close();
    else if (this.chosen !== null) this.choose(null);
    else if (this.finding !== null) this.toggle(this.finding);
    else if (this.words.length) this.find("");
  }

  // ---- one connection

  choose(row) {
    this.chosen = row;
    this.timeline.choose(row);
    this.table.choose(row);
    const told = row === null ? "" : [connectionTitle(row), ...summary(row)].join("; ");
    document.getElementById("told").textContent = told;
  }

  open(row) {
    this.choose(row);
    const before = this.story.isOpen ? null : this.place(row);
    this.story.open(row);
    this.keepInSight(row, before);
  }

  // Where the row is in the window, in the list if the story was asked for there, else in the picture.
  place(row) {
    return (this.story.isFrom(this.table.box) ? this.table : this.timeline).placeOf(row);
  }

  // The panel makes the picture narrower or covers the lower half: what was chosen stays where it was, or above.
  keepInSight(row, before) {
    const after = this.place(row);
    if (!after) return;
    const lowest = this.story.isBelow ? this.story.box.offsetTop : window.innerHeight;
    const highest = document.getElementById("bar").offsetHeight;
    const moved = before ? after.top - before.top : 0;
    const top = after.top - moved;
    const over = Math.max(0, top + after.height + 8 - lowest) || Math.min(0, top - highest - 8);
    window.scrollBy(0, moved + over);
  }

  neighbour(row, by) {
    const order = this.table.order;
    const next = order[stepped(order.length, order.indexOf(row), by)];
    if (next !== undefined) this.open(next);
  }

  zoomTo(row) {
    const [start, end] = [connections.start[row], Math.max(closeOf(row), connections.end[row])];
    const air = Math.max((end - start) * 0.08, LEAST_SPAN);
    this.timeline.look(start - air, end + air);
    this.timeline.intoSight(row);
  }

  // ---- what was drawn, said, copied, printed

  drawn(view, blocks) {
    const most = `at most ${count(this.timeline.overview.most)} open at once`;
    // Of the capture: the picture has a little air on both sides of it.
    const shown = Math.min(view.to, data.span) - Math.max(view.from, 0);
    const part = `${duration(Math.max(0, Math.round(shown)))} shown, ${most}`;
    const small = blocks ? `; ${plural(blocks, "connection")} too short for marks, zoom in to see them` : "";
    document.getElementById("window").textContent = part + small;
  }

  say(text) {
    document.getElementById("said").textContent = text;
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page from a file may not write there.
      const field = element("textarea", "said-aloud", text);
      const before = document.activeElement;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      if (before) before.focus({ preventScroll: true });
    }
    this.say("copied");
    this.flash(text);
  }

  flash(text) {
    for (const one of document.querySelectorAll("button.copy")) {
      if (one.dataset.copy !== text && !this.story.box.contains(one)) continue;
      const label = one.textContent;
      if (label === "Copied") continue;
      one.textContent = "Copied";
      setTimeout(() => (one.textContent = label), 1200);
    }
  }

  recolour() {
    readColours();
    this.timeline.paint();
    this.draw();
  }

  print() {
    document.documentElement.classList.add("paper");
    this.recolour();
    this.table.print();
  }

  unprint() {
    document.documentElement.classList.remove("paper");
    this.recolour();
    this.table.arrange();
  }
}

if (total) {
  for (const part of document.querySelectorAll("#bar, #drawing, #connections")) part.hidden = false;
  readColours();
  new Page();
} else {
  document.getElementById("picture").hidden = true;
}
