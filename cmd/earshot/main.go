// Command earshot shows Earshot at work: a demo of a whole call, a server, and
// a client for the terminal.
//
//	earshot demo     two users call each other in this process, over QUIC, then you
//	earshot serve    run a server, with a page to call with
//	earshot call     call somebody, or wait to be called, from the terminal
//	earshot sign     make or check a UserSig
//	earshot load     load a server, here or elsewhere, and say what it costs
//	earshot impair   a bad network between clients and a server
//
// "earshot help" and "earshot <command> -h" say more. The exit code is 0 for
// success, 1 for a failure, 2 for a wrong command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/earshotrtc/earshot/bench/load"
)

func main() {
	load.Child() // does not return if this is a process of "earshot load"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the program at once
	}()
	os.Exit(run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr, os.Getenv}))
}
