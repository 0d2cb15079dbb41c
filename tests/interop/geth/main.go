// A peer of go-ethereum's own packages (core, p2p, eth/protocols/eth), on 127.0.0.1: imports a chain
// file, serves it, and asks who dials it, or whom it dials, for all of it. A JSON line an event; ends on
// SIGTERM.
//
//	geth-peer --genesis FILE --chain FILE.rlp [--port N] [--dial ENODE] [--max 70] [--ask]
//	          [--discover] [--receipts FILE]
//
// --max: the highest version of eth that it speaks. --receipts: writes the chain's receipts, a list per
// block. --discover: answers discv4 and discv5.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/eth/protocols/eth"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
)

func say(event string, more map[string]any) {
	line := map[string]any{"ev": event}
	for key, value := range more {
		line[key] = value
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func must(err error) {
	if err != nil {
		say("error", map[string]any{"message": err.Error()})
		os.Exit(1)
	}
}

type noPool struct{}

func (noPool) Get(common.Hash) *types.Transaction          { return nil }
func (noPool) GetRLP(common.Hash, uint) []byte             { return nil }
func (noPool) GetMetadata(common.Hash) *txpool.TxMetadata  { return nil }
func (noPool) GetBlobHashes(common.Hash) []common.Hash     { return nil }
func (noPool) GetCustody(common.Hash) *types.CustodyBitmap { return nil }
func (noPool) Has(common.Hash) bool                        { return false }
func (noPool) GetBlobCells([]common.Hash, types.CustodyBitmap) ([][]*kzg4844.Cell, [][]*kzg4844.Proof, error) {
	return nil, nil, errors.New("no pool")
}

type backend struct {
	noPool
	chain   *core.BlockChain
	network uint64
	ask     bool
}

func (b *backend) Chain() *core.BlockChain            { return b.chain }
func (b *backend) TxPool() eth.TxPool                 { return b.noPool }
func (b *backend) BlobPool() eth.BlobPool             { return b.noPool }
func (b *backend) AcceptTxs() bool                    { return false }
func (b *backend) PeerInfo(enode.ID) interface{}      { return nil }
func (b *backend) Handle(*eth.Peer, eth.Packet) error { return nil }

func (b *backend) RunPeer(peer *eth.Peer, handler eth.Handler) error {
	head := b.chain.CurrentBlock()
	err := peer.Handshake(b.network, b.chain, eth.BlockRangeUpdatePacket{
		LatestBlock: head.Number.Uint64(), LatestBlockHash: head.Hash()})
	if err != nil {
		say("refused", map[string]any{"message": err.Error()})
		return err
	}
	say("peer", map[string]any{"version": peer.Version(), "name": peer.Fullname()})
	if b.ask {
		go func() {
			if err := b.askAll(peer); err != nil {
				say("failed", map[string]any{"message": err.Error()})
			}
		}()
	}
	err = handler(peer)
	say("gone", map[string]any{"message": fmt.Sprint(err)})
	return err
}

// Headers, bodies and receipts of every block, held against the chain's own.
func (b *backend) askAll(peer *eth.Peer) error {
	last := b.chain.CurrentBlock().Number.Uint64()
	headers, bodies, receipts, trips := 0, 0, 0, 0
	for from := uint64(1); from <= last; from += 100 {
		sink := make(chan *eth.Response, 1)
		if _, err := peer.RequestHeadersByNumber(from, 100, 0, false, sink); err != nil {
			return err
		}
		answer := <-sink
		found := *answer.Res.(*eth.BlockHeadersRequest)
		answer.Done <- nil
		var hashes []common.Hash
		var gas, times []uint64
		for i, header := range found {
			if header.Hash() == b.chain.GetHeaderByNumber(from+uint64(i)).Hash() {
				headers++
			}
			hashes = append(hashes, header.Hash())
			gas = append(gas, header.GasUsed)
			times = append(times, header.Time)
		}
		if len(hashes) == 0 {
			return errors.New("no headers")
		}
		if _, err := peer.RequestBodies(hashes, sink); err != nil {
			return err
		}
		answer = <-sink
		bodies += len(*answer.Res.(*eth.BlockBodiesResponse))
		answer.Done <- nil
		if _, err := peer.RequestReceipts(hashes, gas, times, sink); err != nil {
			return err
		}
		answer = <-sink
		trips += answer.Roundtrips
		roots := answer.Meta.([]common.Hash)
		for i, root := range roots {
			if i < len(found) && root == found[i].ReceiptHash {
				receipts++
			}
		}
		answer.Done <- nil
	}
	say("done", map[string]any{"headers": headers, "bodies": bodies, "receipts": receipts})
	return nil
}

func open(genesisFile, chainFile string) (*core.BlockChain, uint64) {
	text, err := os.ReadFile(genesisFile)
	must(err)
	genesis := new(core.Genesis)
	must(json.Unmarshal(text, genesis))
	chain, err := core.NewBlockChain(rawdb.NewMemoryDatabase(), genesis, beacon.New(ethash.NewFaker()), nil)
	must(err)
	file, err := os.Open(chainFile)
	must(err)
	stream := rlp.NewStream(file, 0)
	var blocks types.Blocks
	for {
		block := new(types.Block)
		if err := stream.Decode(block); err == io.EOF {
			break
		} else {
			must(err)
		}
		if block.NumberU64() != 0 {
			blocks = append(blocks, block)
		}
	}
	_, err = chain.InsertChain(blocks)
	must(err)
	return chain, genesis.Config.ChainID.Uint64()
}

func writeReceipts(chain *core.BlockChain, path string) {
	file, err := os.Create(path)
	must(err)
	for number := uint64(1); number <= chain.CurrentBlock().Number.Uint64(); number++ {
		block := chain.GetBlockByNumber(number)
		receipts := chain.GetReceiptsByHash(block.Hash())
		if types.DeriveSha(receipts, trie.NewStackTrie(nil)) != block.ReceiptHash() {
			must(fmt.Errorf("receipts of block %d", number))
		}
		must(rlp.Encode(file, receipts))
	}
	must(file.Close())
}

func main() {
	genesis := flag.String("genesis", "", "")
	chainFile := flag.String("chain", "", "")
	port := flag.Int("port", 0, "")
	dial := flag.String("dial", "", "")
	most := flag.Uint("max", 70, "")
	ask := flag.Bool("ask", false, "")
	discover := flag.Bool("discover", false, "")
	receipts := flag.String("receipts", "", "")
	flag.Parse()

	chain, network := open(*genesis, *chainFile)
	if *receipts != "" {
		writeReceipts(chain, *receipts)
	}
	key, err := crypto.GenerateKey()
	must(err)
	b := &backend{chain: chain, network: network, ask: *ask}
	var protocols []p2p.Protocol
	for _, protocol := range eth.MakeProtocols(b, network, nil) {
		if protocol.Version <= *most {
			protocols = append(protocols, protocol)
		}
	}
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey: key, MaxPeers: 16, Name: "go-ethereum/interop", Protocols: protocols,
		ListenAddr: fmt.Sprintf("127.0.0.1:%d", *port), NoDiscovery: !*discover,
		DiscoveryV4: *discover, DiscoveryV5: *discover, NoDial: *dial == "",
	}}
	must(server.Start())
	say("listening", map[string]any{"enode": server.Self().URLv4(), "enr": server.Self().String(),
		"head": chain.CurrentBlock().Hash().Hex(), "blocks": chain.CurrentBlock().Number.Uint64()})
	if *dial != "" {
		node, err := enode.ParseV4(*dial)
		must(err)
		server.AddPeer(node)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	<-end
	server.Stop()
	chain.Stop()
}
