// One connection's story: what `connspect show` prints, in a panel beside the page.

class Story {
  constructor(act) {
    this.box = document.getElementById("story");
    this.act = act;
    this.before = null;
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  get isOpen() {
    return !this.box.hidden;
  }

  // Whether it covers the window's lower part, not its right one.
  get isBelow() {
    return this.box.offsetLeft === 0;
  }

  // Whether it was opened, or would be, from here.
  isFrom(box) {
    return box.contains(this.isOpen ? this.before : document.activeElement);
  }

  open(row) {
    if (!this.isOpen) this.before = document.activeElement;
    this.box.replaceChildren(this.head(row), ...this.facts(row), this.acts(row), ...this.body(row));
    this.box.hidden = false;
    document.documentElement.classList.add("told");
    this.box.scrollTop = 0;
    this.box.focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    this.box.hidden = true;
    document.documentElement.classList.remove("told");
    if (this.before && this.before.isConnected) this.before.focus({ preventScroll: true });
  }

  head(row) {
    const title = element("h2", "", connectionTitle(row));
    title.id = "story-title";
    const close = button("", "Close", () => this.close());
    close.setAttribute("aria-label", "Close the story");
    return element("header", "", title, close);
  }

  facts(row) {
    const named = findings.filter((finding) => finding.members[row]).map((finding) => finding.code);
    const facts = summary(row).map((line) => element("p", "quiet", line));
    if (named.length) facts.push(element("p", "", `Findings: ${named.join(", ")}`));
    return facts;
  }

  acts(row) {
    const filter = filterOf(row);
    return element(
      "div",
      "acts",
      button("", "‹ Previous", () => this.act.neighbour(row, -1)),
      button("", "Next ›", () => this.act.neighbour(row, 1)),
      button("", "Zoom to it", () => this.act.zoomTo(row)),
      element("code", "filter", filter),
      button("copy", "Copy filter", () => this.act.copy(filter)),
    );
  }

  body(row) {
    const story = storyOf.get(row);
    if (!story) {
      const file = data.file === null ? "FILE" : strings[data.file];
      const text = `Its events are not on this page. 'connspect show ${file} ${connections.id[row]}' tells them.`;
      return [element("p", "", text), this.exchangeTable(row)];
    }
    const table = element("table", "");
    const { time, number, who, what, remarks } = data.stories;
    for (let line = story.from; line < story.to; line++) {
      table.append(this.line(row, time[line], number[line], who[line], strings[what[line]], remarks[line]));
    }
    const below = story.below.map((line) => strings[line]).join("\n");
    return [table, element("pre", "", below)];
  }

  line(row, time, packet, who, what, remarks) {
    if (time === null) {
      const cell = element("td", "", what);
      cell.colSpan = 4;
      return element("tr", "idle", cell);
    }
    const isClose = packet === connections.packet[row];
    return element(
      "tr",
      isClose ? "close" : "",
      element("td", "time", sinceStart(time)),
      element("td", "packet", count(packet)),
      element("td", "who", who === null ? "" : SIDES[who]),
      element("td", "", what, remarks === null ? null : element("span", "remarks", strings[remarks])),
    );
  }

  // Where there are no events: the exchanges.
  exchangeTable(row) {
    const table = element("table", "");
    for (let place = exchangesFrom[row]; place < Math.min(exchangesFrom[row + 1], exchangesFrom[row] + 200); place++) {
      const packets = [exchanges.asked[place], exchanges.answered[place]].filter((one) => one !== null).map(count);
      table.append(
        element(
          "tr",
          "",
          element("td", "time", sinceStart(exchanges.begin[place])),
          element("td", "packet", packets.join(", ")),
          element("td", "", exchangeText(place)),
          element("td", "", duration(exchanges.finish[place])),
        ),
      );
    }
    return table;
  }
}
