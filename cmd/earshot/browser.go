package main

import (
	"os/exec"
	"runtime"
)

// linkOpener is what opens links on this machine's desktop, or nil where there
// is none.
func linkOpener(con console) func(link string) error {
	program := desktopProgram(runtime.GOOS, con.env)
	if program == "" {
		return nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return nil
	}
	return func(link string) error {
		cmd := exec.Command(path, link)
		if err := cmd.Start(); err != nil {
			return err
		}
		return cmd.Process.Release() // it may live as long as the browser
	}
}

// desktopProgram opens links on a desktop; it is empty where there is none.
func desktopProgram(goos string, env func(string) string) string {
	switch {
	case goos == "darwin":
		return "open"
	case goos != "windows" && (env("DISPLAY") != "" || env("WAYLAND_DISPLAY") != ""):
		return "xdg-open"
	}
	return ""
}
