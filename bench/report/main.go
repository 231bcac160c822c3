// Command report makes tables and plots of the output of go test -bench:
//
//	go run ./bench/report -plots bench bench/raw.txt >>bench/RESULTS.md
//
// A table for each benchmark has a row for each of its sub-benchmarks, and a column
// for each figure that they report; rows that have no figure in common with those
// before them begin another.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	plots := flag.String("plots", "", "the folder that plots are written to; none are without it")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: report [-plots folder] raw.txt")
	}
	if err := run(flag.Arg(0), *plots, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(raw, plots string, out io.Writer) error {
	f, err := os.Open(raw)
	if err != nil {
		return err
	}
	defer f.Close()
	groups, err := parse(f)
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		return fmt.Errorf("report: there are no benchmarks in %s", raw)
	}
	for _, g := range groups {
		g.table(out)
		if plots == "" {
			continue
		}
		for _, p := range plotted {
			if p.benchmark != g.name {
				continue
			}
			bars := p.bars(g)
			if len(bars) == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(plots, p.file), []byte(svg(p.title, bars)), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(out, "![%s](%s)\n\n", p.title, p.file)
		}
	}
	return nil
}

// A group is one benchmark and all that it reported.
type group struct {
	pkg, name string
	units     []string
	rows      []row
}

// A row is one line of output, by units.
type row struct {
	name   string // of the sub-benchmark, or empty
	values map[string]string
}

// result is a line such as "BenchmarkTick/100users-2   10   123 ns/op   5 encodes/s".
var result = regexp.MustCompile(`^Benchmark([^/\s]+?)(?:/(\S+?))?(?:-\d+)?\s+\d+\s+(\S.*)$`)

// parse reads the output of go test -bench.
func parse(in io.Reader) (groups []*group, err error) {
	pkg := ""
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if p, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = p
			continue
		}
		m := result.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		fields := strings.Fields(m[3])
		if len(fields)%2 != 0 {
			return nil, fmt.Errorf("report: figures without units: %s", line)
		}
		var g *group
		for _, have := range groups {
			if have.pkg == pkg && have.name == m[1] {
				g = have
			}
		}
		if g == nil {
			g = &group{pkg: pkg, name: m[1]}
			groups = append(groups, g)
		}
		r := row{m[2], make(map[string]string)}
		for i := 0; i < len(fields); i += 2 {
			unit := fields[i+1]
			if _, twice := r.values[unit]; !twice && !slices.Contains(g.units, unit) {
				g.units = append(g.units, unit)
			}
			r.values[unit] = fields[i]
		}
		g.rows = append(g.rows, r)
	}
	return groups, lines.Err()
}

// table writes the group as Markdown.
func (g *group) table(out io.Writer) {
	at := g.pkg
	if _, after, ok := strings.Cut(g.pkg, "/earshot/"); ok {
		at = after
	}
	if title := titles[at+"."+g.name]; title != "" {
		fmt.Fprintf(out, "### %s\n\n`%s` in ./%s\n", title, g.name, at)
	} else {
		fmt.Fprintf(out, "### %s: %s\n", at, g.name)
	}
	for _, part := range g.parts() {
		part.rowsAndColumns(out)
	}
	fmt.Fprintln(out)
}

// parts splits rows that have no figure in common.
func (g *group) parts() (parts []*group) {
	for _, r := range g.rows {
		var last *group
		if len(parts) > 0 {
			last = parts[len(parts)-1]
		}
		if last == nil || !slices.ContainsFunc(last.units, func(u string) bool { return r.values[u] != "" }) {
			last = &group{}
			parts = append(parts, last)
		}
		last.rows = append(last.rows, r)
		for _, u := range g.units {
			if r.values[u] != "" && !slices.Contains(last.units, u) {
				last.units = append(last.units, u)
			}
		}
	}
	return parts
}

func (g *group) rowsAndColumns(out io.Writer) {
	fmt.Fprint(out, "\n|")
	for _, u := range append([]string{""}, g.units...) {
		fmt.Fprintf(out, " %s |", strings.ReplaceAll(u, "|", `\|`))
	}
	fmt.Fprint(out, "\n|---|", strings.Repeat("--:|", len(g.units)), "\n")
	for _, r := range g.rows {
		fmt.Fprintf(out, "| %s |", strings.ReplaceAll(r.name, "|", `\|`))
		for _, u := range g.units {
			fmt.Fprintf(out, " %s |", r.values[u])
		}
		fmt.Fprintln(out)
	}
}
