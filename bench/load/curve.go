package load

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// A Point is the cost of one room.
type Point struct {
	Users, Talkers int
	// QUIC: it is that of the whole server, over QUIC. Otherwise it is that of
	// the mixing alone, in this process.
	QUIC bool
	// Cost is in encode-times a second, Packets what it delivered a second.
	Cost, Packets float64
	Late          float64 // percent of the ticks
}

// Curve measures how the cost of one room grows: with its size up to 400 over
// QUIC and 1,000 in this process, and with its talkers from 1 to 16. done is
// told of each point.
func Curve(ctx context.Context, cfg Config, done func(Point)) ([]Point, error) {
	var points []Point
	add := func(p Point) {
		points = append(points, p)
		done(p)
	}
	for _, c := range [][2]int{{25, 5}, {50, 5}, {100, 5}, {200, 5}, {400, 5}, {100, 1}, {100, 2}, {100, 4}, {100, 8}, {100, 16}} {
		run := cfg
		run.Users, run.Talkers = c[0], c[1]
		r, err := Run(ctx, run)
		if err == nil {
			err = r.Refused()
		}
		if err != nil {
			return points, err
		}
		add(Point{c[0], c[1], true, r.EncodeTimes(), float64(r.Packets) / r.Window.Seconds(), 100 * r.LateTicks()})
	}
	for _, c := range [][2]int{{25, 5}, {50, 5}, {100, 5}, {200, 5}, {400, 5}, {1000, 5}, {1000, 1}, {1000, 2}, {1000, 4}, {1000, 8}, {1000, 16}} {
		m, err := NewMixing(c[0], c[1])
		if err != nil {
			return points, err
		}
		m.Sent = 0
		cost := m.EncodeTimes(500)
		add(Point{c[0], c[1], false, cost, float64(m.Sent) / 10, 0})
	}
	return points, nil
}

// WriteCurve draws the points: cost against size at five talkers, and against
// talkers, as SVG.
func WriteCurve(w io.Writer, points []Point) error {
	const width, height, margin = 420, 300, 50
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", 2*width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	panel := func(left int, title, axis string, most float64, lines []line) {
		top := 1.0
		for _, l := range lines {
			for _, p := range l.points {
				top = max(top, p[1])
			}
		}
		x := func(v float64) float64 { return float64(left+margin) + v/most*float64(width-2*margin) }
		y := func(v float64) float64 { return float64(height-margin) - v/top*float64(height-2*margin) }
		fmt.Fprintf(&b, `<text x="%d" y="20" font-size="13">%s</text>`+"\n", left+margin, title)
		fmt.Fprintf(&b, `<path d="M%.0f %.0fV%.0fH%.0f" fill="none" stroke="black"/>`+"\n", x(0), y(top), y(0), x(most))
		for i := range 5 {
			v := top * float64(i) / 4
			fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%.0f</text>`+"\n", x(0)-4, y(v)+4, v)
			v = most * float64(i) / 4
			fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle">%.0f</text>`+"\n", x(v), y(0)+14, v)
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%s</text>`+"\n", x(most/2), height-12, axis)
		for i, l := range lines {
			var path []string
			for _, p := range l.points {
				path = append(path, fmt.Sprintf("%.1f,%.1f", x(p[0]), y(p[1])))
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(p[0]), y(p[1]), l.colour)
			}
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s"/>`+"\n", strings.Join(path, " "), l.colour)
			fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+margin+10, 40+14*i, l.colour, l.name)
		}
	}
	panel(0, "encode-times a second, five talking", "users in the room", 1000, []line{
		pick(points, "whole server, over QUIC", "#c33", func(p Point) (float64, bool) { return float64(p.Users), p.QUIC && p.Talkers == 5 }),
		pick(points, "mixing alone", "#36c", func(p Point) (float64, bool) { return float64(p.Users), !p.QUIC && p.Talkers == 5 }),
	})
	panel(width, "encode-times a second", "talkers in the room", 16, []line{
		pick(points, "whole server, 100 users, over QUIC", "#c33", func(p Point) (float64, bool) { return float64(p.Talkers), p.QUIC && p.Users == 100 }),
		pick(points, "mixing alone, 1,000 users", "#36c", func(p Point) (float64, bool) { return float64(p.Talkers), !p.QUIC && p.Users == 1000 }),
	})
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// A line is a name and its points, in order.
type line struct {
	name, colour string
	points       [][2]float64
}

func pick(points []Point, name, colour string, at func(Point) (float64, bool)) line {
	l := line{name: name, colour: colour}
	for _, p := range points {
		if x, ok := at(p); ok {
			i := 0
			for i < len(l.points) && l.points[i][0] < x {
				i++
			}
			l.points = append(l.points[:i], append([][2]float64{{x, p.Cost}}, l.points[i:]...)...)
		}
	}
	return l
}
