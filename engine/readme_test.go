package engine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// testsIn lists the tests of a package by their names.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	must(t, err)
	names := make(map[string]bool)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		must(t, err)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// README.md keeps its promises: every test that it names is there, no row is
// without one, and no function or callback is left out.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile("README.md")
	must(t, err)
	quoted := regexp.MustCompile("`([^`]+)`")
	named := regexp.MustCompile(`^(?:([a-z/]+)\.)?(Test[A-Z]\w*)$`)
	packages := make(map[string]map[string]bool)
	words := make(map[string]bool) // all that is in quotes in a table's row with a test
	section, rows := "", 0
	for n, line := range strings.Split(string(page), "\n") {
		if s, ok := strings.CutPrefix(line, "## "); ok {
			section = s
		}
		var tests int
		found := quoted.FindAllStringSubmatch(line, -1)
		for _, q := range found {
			m := named.FindStringSubmatch(q[1])
			if m == nil {
				continue
			}
			tests++
			dir := filepath.Clean("./" + m[1])
			if packages[dir] == nil {
				packages[dir] = testsIn(t, dir)
			}
			if !packages[dir][m[2]] {
				t.Errorf("line %d: there is no test %s in %s", n+1, m[2], dir)
			}
		}
		row := strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "|---")
		head := strings.Contains(line, "shown by |") || strings.Contains(line, "| why not here |")
		if !row || head {
			continue
		}
		rows++
		if tests == 0 && section != "What a Go client cannot have" {
			t.Errorf("line %d: a row without a test: %s", n+1, line)
		}
		for _, q := range found {
			words[q[1]] = true
		}
	}
	if rows < 60 {
		t.Errorf("only %d rows were found", rows)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[*engine.Client](), reflect.TypeFor[hooks.Listener]()} {
		for i := range typ.NumMethod() {
			if m := typ.Method(i).Name; !words[m] {
				t.Errorf("%v.%s is not in the tables", typ, m)
			}
		}
	}
	// Each complaint's test is on the page, too.
	for name := range testsIn(t, ".") {
		if strings.HasPrefix(name, "TestComplaint") && !words[name] {
			t.Errorf("%s is not in the tables", name)
		}
	}
}
