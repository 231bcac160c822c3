package main

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// plotted are the plots that are made, and of which benchmark.
var plotted = []plot{
	{"Participants", "participants.svg", "participants that one core serves", []string{"participants/core"}},
	{"MouthToEar", "mouth-to-ear.svg", "from one user's mouth to the other's ear, ms", []string{"ms/p50", "ms/p99"}},
	{"ServerDelay", "server-delay.svg", "from client to client through a server that forwards, ms", []string{"ms/p50", "ms/p99", "ms/in-server-p50"}},
	{"World", "world.svg", "from talker to receiver in a game's world, ms", []string{"ms/p50", "ms/p99"}},
}

// A plot shows some units of a benchmark as bars, in its rows' order: each unit in a
// colour of its own, or with one unit each kind of row, by its name's first part.
type plot struct {
	benchmark, file, title string
	units                  []string
}

// A bar is one value.
type bar struct {
	label string
	value float64
	kind  int // its colour
}

func (p plot) bars(g *group) (bars []bar) {
	var kinds []string // of rows
	for _, r := range g.rows {
		first, _, _ := strings.Cut(r.name, "/")
		if !slices.Contains(kinds, first) {
			kinds = append(kinds, first)
		}
		for kind, unit := range p.units {
			v, err := strconv.ParseFloat(r.values[unit], 64)
			if err != nil {
				continue
			}
			label := r.name
			if len(p.units) == 1 {
				kind = slices.Index(kinds, first)
			} else {
				label += " " + strings.TrimPrefix(unit, "ms/")
			}
			bars = append(bars, bar{label, v, kind})
		}
	}
	return bars
}

var colours = []string{"#36c", "#c33", "#693"}

// svg draws bars, one under the other.
func svg(title string, bars []bar) string {
	const width, left, right, line = 720, 240, 80, 20
	most := 0.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	if most == 0 {
		most = 1
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, 50+line*len(bars))
	fmt.Fprintln(&out, `<rect width="100%" height="100%" fill="white"/>`)
	fmt.Fprintf(&out, `<text x="%d" y="22" font-size="14">%s</text>`+"\n", 10, text(title))
	for i, b := range bars {
		y := 40 + line*i
		w := b.value / most * (width - left - right)
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-6, y+12, text(b.label))
		fmt.Fprintf(&out, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, y, w, line-6, colours[b.kind%len(colours)])
		fmt.Fprintf(&out, `<text x="%.1f" y="%d">%s</text>`+"\n", left+w+6, y+12, strconv.FormatFloat(b.value, 'g', 4, 64))
	}
	fmt.Fprintln(&out, "</svg>")
	return out.String()
}

func text(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}
