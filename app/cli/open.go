package cli

import (
	"os"
	"os/exec"
	"runtime"
)

// opener is the program that shows an address in the person's browser; empty where
// nobody would see one: no terminal, or no screen.
func opener(stderr any, env func(string) string) []string {
	f, ok := stderr.(*os.File)
	if !ok {
		return nil
	}
	if at, err := f.Stat(); err != nil || at.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	switch runtime.GOOS {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	if env("DISPLAY") == "" && env("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return []string{"xdg-open"}
}

// openPage shows an address in the person's browser where there is one. It says
// nothing when it cannot: the address was printed.
func (g *globals) openPage(address string) {
	program := opener(g.err, os.Getenv)
	if program == nil {
		return
	}
	cmd := exec.Command(program[0], append(program[1:], address)...)
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
