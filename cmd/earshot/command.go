package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A console is what a command talks to.
type console struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
}

// isTerminal tells whether w (or r) is a terminal, and which.
func isTerminal(rw any) (fd int, ok bool) {
	f, ok := rw.(*os.File)
	if !ok {
		return -1, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// terminalSize tells the size of the terminal that w is; it is nil for none.
func terminalSize(w any) func() (columns, rows int) {
	fd, ok := isTerminal(w)
	if !ok {
		return nil
	}
	return func() (int, int) {
		columns, rows, err := term.GetSize(fd)
		if err != nil || columns == 0 { // a terminal that does not say
			return 80, 24
		}
		return columns, rows
	}
}

// rawMode makes a terminal send single keys; restore undoes that. It is left as
// it is where the output goes elsewhere, which would not be laid out for it.
func rawMode(con console) (raw bool, restore func()) {
	fd, in := isTerminal(con.in)
	_, out := isTerminal(con.out)
	if in && out {
		if old, err := term.MakeRaw(fd); err == nil {
			return true, func() { term.Restore(fd, old) }
		}
	}
	return false, func() {}
}

// A command is one of earshot's subcommands. run parses args into flags of the
// set that it is given.
type command struct {
	name, short string
	run         func(ctx context.Context, fs *flag.FlagSet, args []string, con console) error
	help        string // before the flags
}

func commands() []command {
	return []command{
		{"demo", "two users call each other in this process, and then you, with a page", runDemoCommand, demoHelp},
		{"serve", "run a server, with a page to call with if you like", runServe, serveHelp},
		{"call", "call somebody, or wait to be called, from the terminal", runCall, callHelp},
		{"load", "load a server, here or elsewhere, and say what it costs", runLoad, loadHelp},
		{"impair", "a bad network between clients and a server", runImpair, impairHelp},
		{"sign", "make or check a UserSig or a link, with which a user signs in", runSign, signHelp},
	}
}

const help = `Earshot is a calling engine in Go. This program shows it at work.

Usage: earshot <command> [flags]

%s
"earshot <command> -h" shows a command's flags. To begin:

  earshot demo          a whole call in ten seconds, with nothing set up; on a
                        terminal it then gives you a link, to call yourself
  earshot serve         a server; it prints the two commands to call with
`

// A usageError is a wrong command line.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// run carries out a command line and returns the exit code.
func run(ctx context.Context, args []string, con console) int {
	if len(args) == 0 {
		printHelp(con.err)
		return 2
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if name != "help" || len(args) == 0 {
			printHelp(con.out)
			return 0
		}
		name, args = args[0], []string{"-h"}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.execute(ctx, args, con)
		}
	}
	fmt.Fprintf(con.err, "earshot: there is no command %q; \"earshot help\" lists them\n", name)
	return 2
}

func (c command) execute(ctx context.Context, args []string, con console) int {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	err := c.run(ctx, fs, args, con)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(con.out, c.help, "\nFlags:\n")
		fs.SetOutput(con.out)
		fs.PrintDefaults()
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(con.err, "earshot %s: %v\n\"earshot %s -h\" shows how to use it.\n", c.name, err, c.name)
		return 2
	}
	fmt.Fprintf(con.err, "earshot %s: %s\n", c.name, explain(err))
	return 1
}

// parse parses flags and lets up to max other arguments pass.
func parse(fs *flag.FlagSet, args []string, max int) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if fs.NArg() > max {
		return usagef("unexpected argument %q; flags go before it", fs.Arg(max))
	}
	return nil
}

func printHelp(w io.Writer) {
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-8s %s\n", c.name, c.short)
	}
	fmt.Fprintf(w, help, list.String())
}
