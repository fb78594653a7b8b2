module audio-converter/tests/cluster/pause

go 1.21
