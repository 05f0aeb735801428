package sqldb

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"

	"rapport/internal/fault"
)

// values makes arguments what the driver takes, in a buffer kept for the next
// statement.
func (c *conn) values(args []any) ([]any, error) {
	c.args = c.args[:0]
	for i, a := range args {
		v, err := value(a)
		if err != nil {
			return nil, fmt.Errorf("argument $%d: %w", i+1, err)
		}
		c.args = append(c.args, v)
	}
	return c.args, nil
}

func value(a any) (any, error) {
	switch v := a.(type) {
	case nil, int64, bool:
		return a, nil
	case string:
		return a, text(v)
	case []byte:
		if v == nil {
			return []byte{}, nil
		}
		return a, nil
	case int:
		return int64(v), nil
	case float64:
		return a, number(v)
	}
	v := reflect.ValueOf(a)
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		return s, text(s)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n := v.Uint(); n <= math.MaxInt64 {
			return int64(n), nil
		}
		return nil, fault.New(fault.Invalid, "number_too_large", "A whole number is larger than the database can hold; use one below 2^63.")
	case reflect.Float32, reflect.Float64:
		return v.Float(), number(v.Float())
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append([]byte{}, v.Bytes()...), nil
		}
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return value(v.Elem().Interface())
	}
	return nil, fmt.Errorf("a %T is no column value", a)
}

func number(f float64) error {
	if f != f {
		return fault.New(fault.Invalid, "not_a_number", "A number is not a number (NaN) and cannot be stored; send a finite one.")
	}
	return nil
}

func text(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fault.New(fault.Invalid, "nul_in_text", "A text holds the character NUL, which cannot be stored; remove it.")
	}
	if !utf8.ValidString(s) {
		return fault.New(fault.Invalid, "not_utf8", "A text is not valid UTF-8 and cannot be stored; encode it again.")
	}
	return nil
}
