package app

const childEnv = "RAPPORT_TEST_CHILD"

func child(dir string) int { return 1 }
