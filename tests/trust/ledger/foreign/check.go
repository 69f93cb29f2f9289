// Checks proofs, tiles and notes with libraries that are not ours, one line of stdin each.
//
// Each line is answered by "ok" or "no"; "split" says that two libraries disagree.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func bytes(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

func number(text string) int64 {
	found, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return found
}

func hash(text string) (found tlog.Hash) {
	copy(found[:], bytes(text))
	return found
}

func both(one, other error) string {
	switch {
	case one == nil && other == nil:
		return "ok"
	case one != nil && other != nil:
		return "no"
	}
	return "split"
}

// includes: index size leaf root proof...
func includes(words []string) string {
	var record tlog.RecordProof
	var path [][]byte
	for _, word := range words[4:] {
		record, path = append(record, hash(word)), append(path, bytes(word))
	}
	index, size := number(words[0]), number(words[1])
	one := tlog.CheckRecord(record, size, hash(words[3]), index, hash(words[2]))
	other := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), bytes(words[2]), path, bytes(words[3]))
	return both(one, other)
}

// continues: old size oldroot root proof...
func continues(words []string) string {
	var tree tlog.TreeProof
	var path [][]byte
	for _, word := range words[4:] {
		tree, path = append(tree, hash(word)), append(path, bytes(word))
	}
	old, size := number(words[0]), number(words[1])
	one := tlog.CheckTree(tree, size, hash(words[3]), old, hash(words[2]))
	other := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), path, bytes(words[2]), bytes(words[3]))
	return both(one, other)
}

// tile: level index width path hashes nodelevel nodeindex node
func tile(words []string) string {
	found := tlog.Tile{H: 8, L: int(number(words[0])), N: number(words[1]), W: int(number(words[2]))}
	// The names are those of C2SP but for the height, which Go writes and C2SP fixes.
	if strings.Replace(found.Path(), "tile/8/", "tile/", 1) != words[3] {
		return "no"
	}
	at := tlog.StoredHashIndex(int(number(words[5])), number(words[6]))
	node, err := tlog.HashFromTile(found, bytes(words[4]), at)
	if err != nil || node != hash(words[7]) {
		return "no"
	}
	return "ok"
}

// opens: vkey note
func opens(words []string) string {
	key, err := note.NewVerifier(words[0])
	if err != nil {
		return "no"
	}
	if _, err := note.Open(bytes(words[1]), note.VerifierList(key)); err != nil {
		return "no"
	}
	return "ok"
}

func main() {
	asked := map[string]func([]string) string{"includes": includes, "continues": continues, "tile": tile, "opens": opens}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	said := bufio.NewWriter(os.Stdout)
	defer said.Flush()
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		fmt.Fprintln(said, asked[words[0]](words[1:]))
	}
}
