package chat_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rapport/chat"
	"rapport/event"
)

// follower follows a room as ada in the background.
type follower struct {
	frames chan chat.Frame
	stop   context.CancelFunc
	done   chan error
}

func (w *world) follow(r event.RoomID, after int64) *follower {
	w.Helper()
	ctx, stop := context.WithCancel(as(ada))
	f := &follower{frames: make(chan chat.Frame, 1000), stop: stop, done: make(chan error, 1)}
	go func() {
		f.done <- w.Follow(ctx, r, after, func(x chat.Frame) error { f.frames <- x; return nil })
	}()
	w.Cleanup(stop)
	select {
	case <-f.frames: // the first sign of life: it listens
	case err := <-f.done:
		f.done <- err
	}
	return f
}

// next is the next frame that is more than a sign of life.
func (f *follower) next(t testing.TB) chat.Frame {
	t.Helper()
	for {
		select {
		case x := <-f.frames:
			if x.Name != "" {
				return x
			}
		case <-t.Context().Done():
			t.Fatal("no frame came")
		}
	}
}

func TestStreamShowsWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}, Agents: []event.AgentID{luna}})
	first := w.post(ada, r, "before")
	f := w.follow(r.ID, -1)
	w.post(bob, r, "hi")
	same(t, "2 hi", show(f.next(t)))
	w.Typing(r.ID, luna)
	same(t, chat.Frame{Name: "typing", Data: chat.Delta{AgentID: luna}}, f.next(t))
	w.Delta(r.ID, luna, "d", "he")
	same(t, chat.Frame{Name: "delta", Data: chat.Delta{AgentID: luna, DecisionID: "d", Text: "he"}}, f.next(t))
	trouble := chat.Trouble{AgentID: luna, MessageID: first.ID, Code: "timeout", Says: "its model did not answer in time", Again: true}
	w.Service.Trouble(r.ID, trouble)
	same(t, chat.Frame{Name: "trouble", Data: trouble}, f.next(t))
	w.reply(luna, r, "d", "hello")
	same(t, "3 hello", show(f.next(t)))
	_, err := w.Edit(as(ada), r.ID, first.ID, "after")
	w.must(err)
	same(t, "4 after", show(f.next(t)))
	w.must(w.React(as(bob), r.ID, first.ID, "👍"))
	same(t, "5 after 👍", show(f.next(t)))
	w.must(w.Delete(as(ada), r.ID, first.ID))
	same(t, "6 ", show(f.next(t)))
	_, err = w.Invite(as(ada), r.ID, event.Member{PersonID: eve})
	w.must(err)
	same(t, "room", f.next(t).Name)
	w.must(w.Remove(as(ada), r.ID, string(ada)))
	same(t, "gone", f.next(t).Name)
	w.must(<-f.done)
	w.refused("room_unknown", w.Follow(as(ada), r.ID, -1, nil))
	w.refused("room_unknown", w.Follow(as(ada), "none", -1, nil))
	w.refused("login_required", w.Follow(t.Context(), r.ID, -1, nil))

	// What was handed on live is stored nowhere but in the message.
	for _, row := range dump(t, w.db, "messages")["messages"] {
		if row[6] == "he" {
			t.Error("a delta was stored")
		}
	}
}

func show(f chat.Frame) string {
	m := f.Data.(chat.Message)
	s := f.ID + " " + m.Text
	for _, r := range m.Reactions {
		s += " " + r.Emoji
	}
	return s
}

// TestStreamResumesWithoutLoss breaks the stream off again and again while
// people talk and edit, and goes on from the last id it saw.
func TestStreamResumesWithoutLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}})
	const each = 60
	var wg sync.WaitGroup
	for _, p := range []event.PersonID{ada, bob} {
		wg.Go(func() {
			for i := range each {
				m, err := w.Post(as(p), r.ID, chat.NewMessage{Text: fmt.Sprint(p, i)}, "")
				if err == nil && i%5 == 0 {
					_, err = w.Edit(as(p), r.ID, m.ID, fmt.Sprint(p, i, " edited"))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[event.MessageID]string{} // as the client holds it
	sequences := map[int64]bool{}
	last := int64(0)
	edited := func() (n int) {
		for _, text := range seen {
			if strings.HasSuffix(text, "edited") {
				n++
			}
		}
		return n
	}
	for len(seen) < 2*each || edited() < 2*each/5 {
		f := w.follow(r.ID, last)
		for range 7 {
			if len(seen) == 2*each && edited() == 2*each/5 {
				break
			}
			x := f.next(t)
			m := x.Data.(chat.Message)
			id, err := strconv.ParseInt(x.ID, 10, 64)
			w.must(err)
			if id <= last {
				t.Fatalf("id %d after %d", id, last)
			}
			last, seen[m.ID], sequences[m.Sequence] = id, m.Text, true
		}
		f.stop()
		<-f.done
	}
	wg.Wait()
	page, err := w.Messages(as(ada), r.ID, 0, 0, 200)
	w.must(err)
	want := map[event.MessageID]string{}
	for _, m := range page.Messages {
		want[m.ID] = m.Text
	}
	same(t, want, seen)
	same(t, 2*each, len(sequences))
	same(t, page.Cursor, last)
}

func TestStreamCatchesUpInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	room := chat.ForeignRoom(irc, "r")
	var items []chat.Ingested
	for i := range 450 {
		items = append(items, said(fmt.Sprint(i), byAda, "x"))
	}
	w.ingest(items[:101]...)
	edit := func(text string) {
		_, err := w.Edit(as(ada), room, chat.ForeignMessage(irc, "0"), text)
		w.must(err)
	}
	edit("once")
	w.ingest(items[101:]...)
	edit("twice")
	f := w.follow(room, 0)
	var ids []int
	for range 450 {
		x := f.next(t)
		n, err := strconv.Atoi(x.ID)
		w.must(err)
		ids = append(ids, n)
	}
	if !slices.IsSorted(ids) || ids[0] != 2 || ids[449] != 452 { // changes 1 and 102 were of the first message, which is seen as edited last
		t.Errorf("%v", ids)
	}
}
