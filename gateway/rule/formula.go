package rule

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strconv"

	"rapport/policy"
)

// Input is a name that a formula may use.
type Input uint8

// The inputs: first every trait by its place, then these.
const (
	Epsilon Input = policy.NTraits + iota // share of sessions that explore, [0,1]
	Valence                               // mood, [-1,1]
	Arousal                               // mood, [-1,1]

	NInputs = int(Arousal) + 1
)

// Inputs is one number per input.
type Inputs [NInputs]float64

var inputNames = func() map[string]Input {
	m := map[string]Input{"epsilon": Epsilon, "valence": Valence, "arousal": Arousal}
	for t := range policy.NTraits {
		m[policy.Trait(t).String()] = Input(t)
	}
	return m
}()

func inputRange(i Input) interval {
	if i == Valence || i == Arousal {
		return interval{-1, 1}
	}
	return interval{0, 1}
}

// The limits of a formula.
const (
	maxFormula = 200 // bytes
	maxNodes   = 64
	maxDepth   = 16
	maxNumber  = 1e6
)

// Formula is an arithmetic expression: numbers, inputs, + - * /, parentheses,
// min(a,b), max(a,b), clamp(v,lo,hi).
type Formula struct {
	Source string
	Lo, Hi float64 // what it can give, an outer bound
	nodes  []node  // in evaluation order, the last is the result
	used   uint32  // inputs it reads, one bit each
}

type node struct {
	op      byte // '#' number, '$' input, '-' 'u' + * /, m M c
	v       float64
	in      Input
	a, b, c uint8
}

type interval struct{ lo, hi float64 }

// ParseFormula reads a formula and proves that it is defined everywhere. It
// refuses unknown names, anything but arithmetic, a divisor that can be zero,
// and results beyond ±1e6.
func ParseFormula(src string) (*Formula, error) {
	if len(src) > maxFormula {
		return nil, fmt.Errorf("formula has %d bytes, at most %d", len(src), maxFormula)
	}
	e, err := parser.ParseExpr(src)
	if err != nil {
		return nil, fmt.Errorf("formula %q is not an expression", src)
	}
	f := &Formula{Source: src}
	_, r, err := f.compile(e, 0)
	if err != nil {
		return nil, fmt.Errorf("formula %q: %w", src, err)
	}
	f.Lo, f.Hi = r.lo, r.hi
	return f, nil
}

// Uses says whether the formula reads the input.
func (f *Formula) Uses(i Input) bool { return f.used&(1<<i) != 0 }

func (f *Formula) add(n node) (uint8, error) {
	if len(f.nodes) >= maxNodes {
		return 0, fmt.Errorf("more than %d parts", maxNodes)
	}
	f.nodes = append(f.nodes, n)
	return uint8(len(f.nodes) - 1), nil
}

func (f *Formula) compile(e ast.Expr, depth int) (uint8, interval, error) {
	if depth > maxDepth {
		return 0, interval{}, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	n, r, err := f.part(e, depth)
	if err != nil {
		return 0, interval{}, err
	}
	if !(math.Abs(r.lo) <= maxNumber && math.Abs(r.hi) <= maxNumber) {
		return 0, interval{}, fmt.Errorf("a part of it can pass ±%g", float64(maxNumber))
	}
	i, err := f.add(n)
	return i, r, err
}

func (f *Formula) part(e ast.Expr, depth int) (node, interval, error) {
	fail := func(format string, args ...any) (node, interval, error) {
		return node{}, interval{}, fmt.Errorf(format, args...)
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return f.part2(e.X, depth)
	case *ast.BasicLit:
		if e.Kind != token.INT && e.Kind != token.FLOAT {
			return fail("%s is not a number", e.Value)
		}
		v, err := strconv.ParseFloat(e.Value, 64)
		if err != nil {
			return fail("%s is not a decimal number", e.Value)
		}
		return node{op: '#', v: v}, interval{v, v}, nil
	case *ast.Ident:
		in, ok := inputNames[e.Name]
		if !ok {
			return fail("unknown input %q at character %d", e.Name, e.Pos())
		}
		f.used |= 1 << in
		return node{op: '$', in: in}, inputRange(in), nil
	case *ast.UnaryExpr:
		if e.Op != token.SUB {
			return fail("operator %s", e.Op)
		}
		a, r, err := f.compile(e.X, depth+1)
		return node{op: 'u', a: a}, interval{-r.hi, -r.lo}, err
	case *ast.BinaryExpr:
		a, ra, err := f.compile(e.X, depth+1)
		if err != nil {
			return node{}, interval{}, err
		}
		b, rb, err := f.compile(e.Y, depth+1)
		if err != nil {
			return node{}, interval{}, err
		}
		switch e.Op {
		case token.ADD:
			return node{op: '+', a: a, b: b}, interval{ra.lo + rb.lo, ra.hi + rb.hi}, nil
		case token.SUB:
			return node{op: '-', a: a, b: b}, interval{ra.lo - rb.hi, ra.hi - rb.lo}, nil
		case token.MUL:
			return node{op: '*', a: a, b: b}, hull(ra.lo*rb.lo, ra.lo*rb.hi, ra.hi*rb.lo, ra.hi*rb.hi), nil
		case token.QUO:
			if rb.lo <= 0 && rb.hi >= 0 {
				return fail("the divisor at character %d can be zero", e.Y.Pos())
			}
			return node{op: '/', a: a, b: b}, hull(ra.lo/rb.lo, ra.lo/rb.hi, ra.hi/rb.lo, ra.hi/rb.hi), nil
		}
		return fail("operator %s", e.Op)
	case *ast.CallExpr:
		name, ok := e.Fun.(*ast.Ident)
		if !ok || e.Ellipsis.IsValid() {
			return fail("only min, max and clamp can be called")
		}
		var at [3]uint8
		var r [3]interval
		want := map[string]int{"min": 2, "max": 2, "clamp": 3}[name.Name]
		if want == 0 {
			return fail("unknown function %q at character %d", name.Name, e.Pos())
		}
		if len(e.Args) != want {
			return fail("%s takes %d arguments", name.Name, want)
		}
		for i, arg := range e.Args {
			var err error
			if at[i], r[i], err = f.compile(arg, depth+1); err != nil {
				return node{}, interval{}, err
			}
		}
		n := node{a: at[0], b: at[1], c: at[2]}
		switch name.Name {
		case "min":
			n.op = 'm'
			return n, interval{min(r[0].lo, r[1].lo), min(r[0].hi, r[1].hi)}, nil
		case "max":
			n.op = 'M'
			return n, interval{max(r[0].lo, r[1].lo), max(r[0].hi, r[1].hi)}, nil
		}
		n.op = 'c'
		clamp := func(v, lo, hi float64) float64 { return min(max(v, lo), hi) }
		return n, interval{clamp(r[0].lo, r[1].lo, r[2].lo), clamp(r[0].hi, r[1].hi, r[2].hi)}, nil
	}
	return fail("only arithmetic is allowed")
}

// part2 counts parentheses as depth, so that they cannot nest without end.
func (f *Formula) part2(e ast.Expr, depth int) (node, interval, error) {
	if depth+1 > maxDepth {
		return node{}, interval{}, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	return f.part(e, depth+1)
}

func hull(v ...float64) interval {
	r := interval{v[0], v[0]}
	for _, x := range v[1:] {
		r.lo, r.hi = min(r.lo, x), max(r.hi, x)
	}
	return r
}

// Eval gives the formula's value; finite and within [Lo,Hi] whenever every input
// is within its range.
func (f *Formula) Eval(in *Inputs) float64 {
	var v [maxNodes]float64
	for i := range f.nodes {
		n := &f.nodes[i]
		switch n.op {
		case '#':
			v[i] = n.v
		case '$':
			v[i] = in[n.in]
		case 'u':
			v[i] = -v[n.a]
		case '+':
			v[i] = v[n.a] + v[n.b]
		case '-':
			v[i] = v[n.a] - v[n.b]
		case '*':
			v[i] = float64(v[n.a] * v[n.b])
		case '/':
			v[i] = v[n.a] / v[n.b]
		case 'm':
			v[i] = min(v[n.a], v[n.b])
		case 'M':
			v[i] = max(v[n.a], v[n.b])
		case 'c':
			v[i] = min(max(v[n.a], v[n.b]), v[n.c])
		}
	}
	return v[len(f.nodes)-1]
}
