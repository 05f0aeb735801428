package provider

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Answer collects what a dialect reads.
type Answer struct {
	Result Result

	c       *Client
	ctx     context.Context
	watch   *time.Timer
	emit    func(string) error
	request *Request
	text    int    // bytes said
	ready   []byte // the last of them, not emitted yet
	thought thought
	ended   bool
}

// Say adds a piece of the reply. What arrived together is passed on together, as
// soon as there is nothing more to read.
func (a *Answer) Say(text string) error {
	if text == "" {
		return nil
	}
	if room := a.c.cfg.MaxText - a.text; len(text) > room {
		for room > 0 && !utf8.RuneStart(text[room]) {
			room--
		}
		a.Result.Finish, a.ended = FinishLength, true
		if text = text[:room]; text == "" {
			return nil
		}
	}
	a.text += len(text)
	a.ready = append(a.ready, text...)
	return nil
}

// pass emits what was said.
func (a *Answer) pass() error {
	if len(a.ready) == 0 {
		return nil
	}
	text := string(a.ready)
	a.ready = a.ready[:0]
	return a.emit(text)
}

// Finish notes why the reply ends. A filter's word stands.
func (a *Answer) Finish(reason string) {
	if a.Result.Finish != FinishFilter {
		a.Result.Finish = reason
	}
}

// End says that nothing more will come.
func (a *Answer) End() { a.ended = true }

// Refuse gives the error for a failure that came within the stream.
func (a *Answer) Refuse(f Refusal) error {
	if filtered.MatchString(f.Kind + " " + f.Message) {
		a.Result.Finish, a.ended = FinishFilter, true
		return nil
	}
	e := a.c.refused(0, http.Header{}, f)
	if e.Started = a.text > 0; e.Started {
		e.Retry = false
	}
	return e
}

// Garbled is the error for what is not in the dialect.
func (a *Answer) Garbled() error {
	return a.c.broken(a.ctx, nil, a.text > 0, CodeBroken)
}

func (a *Answer) fail(code string) *Error {
	return &Error{Code: code, Provider: a.c.cfg.Name, Started: a.text > 0}
}

// What is read of one answer at most: a line of a stream, a document, all of it.
const (
	maxLine     = 4 << 20
	maxDocument = 8 << 20
	maxStream   = 64 << 20
)

// buffers are for reading streams.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

func (a *Answer) read(resp *http.Response) error {
	var err error
	body := &io.LimitedReader{R: resp.Body, N: maxStream}
	switch {
	case isDocument(resp.Header):
		err = a.document(body)
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		e := a.fail(CodeRefused)
		e.Status, e.Hint = resp.StatusCode, "its base URL answers with a web page, so its path is wrong"
		return e
	default:
		in := buffers.Get().(*bufio.Reader)
		in.Reset(body)
		err = a.events(in)
		in.Reset(nil)
		buffers.Put(in)
	}
	if err == nil {
		err = a.flush()
	}
	if failed := a.pass(); failed != nil { // what was said before an error was said
		return failed
	}
	if err == nil {
		err = a.close()
	}
	if e, ok := errors.AsType[*Error](err); ok && body.N <= 0 {
		e.Code, e.Retry = CodeTooLarge, false
	}
	return err
}

// events follows server-sent events until the dialect has seen the end, or until
// the end of the stream when the reply was finished before it. Every data line is
// an event: no vendor sends longer ones.
func (a *Answer) events(in *bufio.Reader) error {
	for !a.ended {
		waits := !holdsLine(in)
		if waits {
			if err := a.pass(); err != nil {
				return err
			}
		}
		line, err := readLine(in)
		if err != nil && len(line) == 0 {
			switch {
			case a.Result.Finish != "" && err == io.EOF:
				return nil
			case errors.Is(err, errLong):
				return a.fail(CodeTooLarge)
			}
			return a.c.broken(a.ctx, err, a.text > 0, CodeBroken)
		}
		if waits {
			a.watch.Reset(a.c.cfg.Idle)
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if data = bytes.TrimSpace(data); !ok || len(data) == 0 {
			continue // comments, event names, blank lines
		}
		if err := a.c.dialect.Read(data, false, a); err != nil {
			return err
		}
	}
	return nil
}

// document reads the answer of a server that does not stream.
func (a *Answer) document(r io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return a.c.broken(a.ctx, err, false, CodeBroken)
	case len(raw) > maxDocument:
		return a.fail(CodeTooLarge)
	}
	return a.c.dialect.Read(raw, true, a)
}

// close completes the result.
func (a *Answer) close() error {
	res := &a.Result
	if a.text == 0 && res.Finish != FinishFilter {
		return a.fail(CodeEmpty)
	}
	if res.Finish == "" {
		res.Finish = FinishStop
	}
	if res.ReplyTokens == 0 && a.text > 0 {
		res.Estimated = true
		res.ReplyTokens = (a.text + 3) / 4
	}
	if res.PromptTokens == 0 {
		res.Estimated, res.PromptTokens = true, a.request.PromptTokens()
	}
	return nil
}

var errLong = errors.New("line too long")

// holdsLine says whether a whole line has arrived already.
func holdsLine(in *bufio.Reader) bool {
	here, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(here, '\n') >= 0
}

// readLine reads one line of at most maxLine bytes.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line) == 0 && err == nil {
			return bytes.TrimRight(part, "\r\n"), nil
		}
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, errLong
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}
