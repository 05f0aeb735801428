package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
)

// conn is a connection with its prepared statements.
type conn struct {
	*sql.Conn
	stmts   map[string]*stmt
	args    []any
	text    func(query string) string // as the driver wants it; nil for as it is
	idle    func() bool               // it is open and in no transaction; nil for always
	cancels bool                      // a query can be given up in the middle
}

type stmt struct {
	*sql.Stmt
	writes bool
}

// stmtMax bounds the statements kept by a connection; a program has fewer.
const stmtMax = 1000

var writing = regexp.MustCompile(`(?i)\b(insert|update|delete|replace|create|drop|alter)\b`)

func (c *conn) prepare(query string) (*stmt, error) {
	if st := c.stmts[query]; st != nil {
		return st, nil
	}
	text := query
	if c.text != nil {
		text = c.text(query)
	}
	s, err := c.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("%w, in: %s", err, query)
	}
	st := &stmt{Stmt: s, writes: writing.MatchString(query)}
	c.stmts[query] = st
	return st, nil
}

// exec runs one of the package's own statements.
func (c *conn) exec(query string) error {
	st, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background())
	return err
}

// usable says that a next transaction can begin on it.
func (c *conn) usable() bool { return c.idle == nil || c.idle() }

// trim forgets the statements when there are too many; none may be running.
func (c *conn) trim() {
	if len(c.stmts) > stmtMax {
		for _, st := range c.stmts {
			st.Close()
		}
		clear(c.stmts)
	}
}

func (c *conn) close() {
	if c.usable() {
		for _, st := range c.stmts {
			st.Close()
		}
	}
	c.Conn.Close()
}
