package event

// compact says that data is one JSON value exactly as json.Marshal leaves it: no
// space outside of texts, and nothing in them that it would write otherwise. It
// knows ASCII only and refuses what is nested deeper than our payloads are.
func compact(data []byte) bool {
	return value(data, 0, 32) == len(data)
}

// value gives the end of the value at i; -1 when there is none, for all
// functions here.
func value(b []byte, i, depth int) int {
	if i < 0 || i >= len(b) || depth == 0 {
		return -1
	}
	switch b[i] {
	case '"':
		return text(b, i)
	case '{':
		return list(b, i, '}', func(i int) int {
			if i = text(b, i); i < 0 || i >= len(b) || b[i] != ':' {
				return -1
			}
			return value(b, i+1, depth-1)
		})
	case '[':
		return list(b, i, ']', func(i int) int { return value(b, i, depth-1) })
	case 't':
		return word(b, i, "true")
	case 'f':
		return word(b, i, "false")
	case 'n':
		return word(b, i, "null")
	}
	return number(b, i)
}

func list(b []byte, i int, end byte, item func(int) int) int {
	if i++; i < len(b) && b[i] == end {
		return i + 1
	}
	for {
		if i = item(i); i < 0 || i >= len(b) {
			return -1
		}
		switch b[i] {
		case end:
			return i + 1
		case ',':
			i++
		default:
			return -1
		}
	}
}

func word(b []byte, i int, w string) int {
	if end := i + len(w); end <= len(b) && string(b[i:end]) == w {
		return end
	}
	return -1
}

// text takes a text whose escapes are those that json.Marshal and others write.
func text(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; ; i++ {
		for i < len(b) && asIs[b[i]] {
			i++
		}
		if i >= len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i++; i >= len(b) {
				return -1
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(b) || !(digit(b[i]) || b[i]|' ' >= 'a' && b[i]|' ' <= 'f') {
						return -1
					}
				}
			default:
				return -1
			}
		default:
			return -1
		}
	}
}

// asIs are the characters of ASCII that json.Marshal writes in a text as they are.
var asIs = func() (is [256]bool) {
	for c := byte(' '); c <= '~'; c++ {
		is[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return is
}()

func number(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		if i = digits(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|' ' == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits takes one or more.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && digit(b[i]) {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
