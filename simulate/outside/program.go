package outside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Program is an outside learner that runs as a child.
type Program struct {
	*Talk
	cmd *exec.Cmd
	in  io.Closer
}

// patience is how long a program may take to end after the last line.
const patience = 10 * time.Second

// Start runs a program that speaks the protocol; what it writes on its standard
// error goes to errOut. It is killed when ctx ends. The caller calls Close. The
// error is ErrCommand.
func Start(ctx context.Context, command string, errOut io.Writer) (*Program, error) {
	args, err := Split(command)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr, cmd.WaitDelay = errOut, time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %s cannot be started: %w", ErrCommand, args[0], err)
	}
	return &Program{NewTalk(out, in), cmd, in}, nil
}

// Close ends the program's input and waits for it to end by itself; after ten
// seconds it is killed. The error is the conversation's, else the program's.
func (p *Program) Close() error {
	p.in.Close()
	timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.cmd.Wait()
	switch {
	case p.Err() != nil && err != nil:
		return fmt.Errorf("%w; it ended with: %v", p.Err(), err)
	case p.Err() != nil:
		return p.Err()
	case err != nil:
		return fmt.Errorf("the outside learner ended with: %w", err)
	}
	return nil
}

// ErrCommand is the error of a command that cannot be taken apart or started.
var ErrCommand = errors.New("no command")

// Split takes a command apart into words, at blanks outside of quotes (' or ").
// There is no other syntax, and no shell.
func Split(command string) (words []string, err error) {
	var word strings.Builder
	quote, any := rune(0), false
	for _, r := range command {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, any = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if any {
				words = append(words, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteRune(r)
			any = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%w: %q has a quote that does not end", ErrCommand, command)
	}
	if any {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, fmt.Errorf("%w: %q names no program", ErrCommand, command)
	}
	return words, nil
}
