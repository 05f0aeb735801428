package web

import "net/http"

type loginView struct {
	Next  string // where to go afterwards
	Ended bool   // a login was there and is over
}

// login is the page that a one-time link opens. The link's secret stands behind
// the #, which browsers do not send: opening, previewing or prefetching the page
// does not use it up. The module hands it to POST /v1/login.
func (s *site) login(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.answer(w, r, http.StatusOK, page{Name: "login", Title: "Log in", View: loginView{local(q.Get("next")), q.Get("ended") != ""}})
}
