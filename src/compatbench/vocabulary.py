"""The words of the field in suites, records and tables, each with its sentence. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Word(StrEnum):
    """A word, as written in files, with an explaining sentence and a heading for tables."""

    sentence: str
    heading: str

    def __new__(cls, word: str, sentence: str = "", heading: str = "") -> Word:
        """A member; the word is its own heading unless another is given."""
        member = str.__new__(cls, word)
        member._value_, member.sentence, member.heading = word, sentence, heading or word
        return member

    def __repr__(self) -> str:
        """The string's: a text made of words is the same, whether they are members or strings."""
        return str.__repr__(self)


class Need(Word):
    """A need of a method; the suite provides only that, and the leaderboard prints it as a cost."""

    OLD_ENCODER = "old encoder", "A forward pass of the frozen old encoder on every training batch."
    OLD_CLASSIFIER = "old classifier", "The old model's class rows W_o (C_o, D_o)."
    OLD_FEATURES = "old features", "Old embeddings of the whole new training set, computed once before training."
    OLD_WEIGHTS = "old weights", "The parameters of the old encoder themselves."
    INDEPENDENT_MODEL = (
        "independent model",
        "A new model trained without any compatibility term, before this one; its cost counts.",
    )
    BOTH_ENCODERS_ONLINE = (
        "both encoders online",
        "Every query is embedded by the old and by the new model at serving time; an adapter's maps get both vectors.",
    )
    GALLERY_REWRITE = "gallery rewrite", "Every stored vector is mapped (not re-embedded from its original)."
    OWN_FIRST_GENERATION = (
        "own first generation",
        "It trains the old model too, so its gains are against its own M(o,o).",
    )
    LABELS = "labels", "Class labels of the pairs that an adapter is fitted on; training methods always have them."
    TWO_VIEWS = "two views", "A second augmented view of each image."
    UNPAIRED = "unpaired", "An adapter that is fitted on new and old vectors of different items: it needs no pairs."


class MethodKind(Word):
    """The two kinds of methods."""

    TRAINING = "training", "A loss beside that of the new model.", "trained with the new model"
    ADAPTER = "adapter", "Maps between the vectors of two frozen models.", "adapter on frozen embeddings"


class Role(Word):
    """How a row is read: only methods are ranked. In the order of tables."""

    REFERENCE = "reference", "Rows to compare with, such as the status quo and independent; never ranked.", "References"
    METHOD = "method", "Rows that claim compatibility; the only ones that are ranked.", "Methods"
    CONTROL = (
        "control",
        "Rows whose outcome is known beforehand, such as a random rotation; where one does not behave as it must, the "
        "banner turns red. Never ranked.",
        "Controls",
    )


class League(Word):
    """The demands of a method on the serving system."""

    INDEX_UNTOUCHED = (
        "index untouched",
        "The new encoder alone is online; the stored vectors stay.",
        "Index untouched",
    )
    INDEX_REWRITTEN = (
        "index rewritten",
        "Each stored vector is mapped once; no item is re-embedded.",
        "Index rewritten",
    )
    TWO_ENCODERS = "two encoders", "The old and the new encoder are online.", "Two encoders"
    PLANNED_AHEAD = "planned ahead", "The old generation must have been trained for it.", "Planned ahead"


def league(role: Role, needs: Collection[Need]) -> League | None:
    """The league of a method, by the hardest of its demands; None for references and controls."""
    if role is not Role.METHOD:
        return None
    if Need.OWN_FIRST_GENERATION in needs:
        return League.PLANNED_AHEAD
    if Need.BOTH_ENCODERS_ONLINE in needs:
        return League.TWO_ENCODERS
    return League.INDEX_REWRITTEN if Need.GALLERY_REWRITE in needs else League.INDEX_UNTOUCHED


class Expectation(Word):
    """The expected behaviour of a reference or control; if it fails, the table's banner turns red."""

    CROSS_AT_CHANCE = "cross at chance", "M(n,o) is no better than between unrelated spaces."
    CROSS_BELOW_OLD = "cross below status quo", "M(n,o) is below M(o,o)."
    CROSS_EQUALS_OLD = "cross equals status quo", "M(n,o) is M(o,o), seed by seed."
    SELF_EQUALS_INDEPENDENT = "self equals independent", "M(n,n) is M(*,*), seed by seed."


class Verdict(Word):
    """The verdict on an upgrade, by the one rule of significance; one seed of a training gives none."""

    COMPATIBLE = "compatible", "M(n,o) > M(o,o) on mAP, significantly."
    UNDECIDED = "undecided", "The data do not tell whether M(n,o) is above or below M(o,o)."
    NOT_COMPATIBLE = "not compatible", "M(n,o) < M(o,o) on mAP, significantly."


class Behaviour(Word):
    """The verdict on a row with expectations."""

    AS_EXPECTED = "as expected", "Every expectation was met."
    NOT_AS_EXPECTED = "✗ not as expected", "An expectation was not met; the banner says which."


class Status(Word):
    """How a cell ended."""

    OK = "ok", "It ran, and its numbers count."
    FAILED = "failed", "It raised an exception; the record has its traceback."
    TIMEOUT = "timeout", "It took longer than its suite allows."
    OOM = "oom", "It ran out of memory."
    KILLED = "killed", "Its process was ended by a signal."
    SKIPPED = "skipped", "The method cannot run on this cell; the record says why."
    INVALID = "invalid", "It ran, but its numbers cannot count (NaN loss, zero vectors)."


class Order(Word):
    """The order of re-embedding stored items in a backfill."""

    RANDOM = "random", "A random order.", "Random order"
    CLASS_WISE = "class-wise", "One class after the other, classes and items in random order.", "Class after class"
    UNCERTAINTY = (
        "uncertainty",
        "The items whose old vectors have the highest entropy under the old classifier come first.",
        "Most uncertain first",
    )
    OWN = "own", "The order that the method asks for.", "The method's own order"


class TrainPart(Word):
    """The two parts of the training images."""

    TRAIN = "train", "The images that the models are trained on."
    HELD_OUT = "held_out", "A fifth of the training images of every class, kept from every training."


class ParameterSetting(Word):
    """Where the parameters of a row come from, in a suite with tuned values."""

    TUNED = "tuned", "The best of the trials of `compatbench tune`, by A on held-out images; ranked."
    PUBLISHED = "published", "The constants of the paper or its code, beside a tuned row; not ranked."
    BOTH = "tuned = published", "The published constants, which were the best of the trials; ranked."
    UNTUNED = "not tuned", "The published constants of a method that has ranges and no tuned values yet; ranked."


_APART = ParameterSetting.TUNED, ParameterSetting.PUBLISHED


def row_label(plain: str, setting: ParameterSetting | None) -> str:
    """The label of a row of one of two settings, `bct(tuned)` or `bct(variant=old_classes, tuned)`; else `plain`."""
    if setting not in _APART:
        return plain
    return f"{plain[:-1]}, {setting})" if plain.endswith(")") else f"{plain}({setting})"


def plain_label(label: str) -> str:
    """The label without the setting that `row_label` added, if it did."""
    for setting in _APART:
        if label.endswith(f"({setting})"):
            return label.removesuffix(f"({setting})")
        if label.endswith(f", {setting})"):
            return label.removesuffix(f", {setting})") + ")"
    return label


class IndexKind(Word):
    """Kind of Faiss index."""

    FLAT = "flat", "Every vector is looked at: exact.", "Flat (exact)"
    HNSW = "hnsw", "A graph of near neighbours.", "HNSW"
    IVFPQ = "ivfpq", "Inverted lists of product-quantised vectors, trained on vectors.", "IVF-PQ"


class Similarity(Word):
    """How an index ranks; the heading stands in a sentence, as in "search items by …"."""

    COSINE = "cosine", "The cosine of the two vectors."
    DOT = "dot", "The inner product of the two vectors.", "inner product"
    L2 = "l2", "The Euclidean distance of the two vectors.", "Euclidean distance"


class FitOn(Word):
    """The pairs that `compare` fits adapters on."""

    DOCUMENTS = "documents", "Items of the gallery, which are not searched."
    QUERIES = "queries", "Queries, which are not scored."
    BOTH = "both", "Half of each."


class HeadName(Word):
    """Classification head of a generation, and with it its loss."""

    SOFTMAX = "softmax", "Cross-entropy over inner products with the class rows."
    NORMALIZED_SOFTMAX = "normalized_softmax", "Cross-entropy over scaled cosines with the class rows."
    ARCFACE = "arcface", "The same with an angular margin on the target's class row."


class Entry(Word):
    """Entries of the compatibility matrix of one upgrade: o old, n new, * the independent new model."""

    OLD = "M(o,o)", "Status quo: old queries on the old gallery."
    CROSS = "M(n,o)", "Cross-test: new queries on the old gallery, no backfill."
    NEW = "M(n,n)", "Self-test: new queries on the new gallery, full backfill."
    REFERENCE = "M(*,*)", "Full backfill with the independently trained new model."


class MetricName(Word):
    """Numbers in records and tables; a compatibility number names its metric after a colon: `tax:mAP`."""

    MAP = (
        "mAP",
        "Mean average precision over the full ranking, over the queries with at least one relevant item, in points "
        "(0 to 100). Ties are broken pessimistically.",
    )
    MAP_AT_R = "mAP@R", "Mean average precision over the first R ranks, R the number of a query's relevant items."
    CMC1 = "CMC@1", "Share of queries whose first hit is relevant."
    CMC5 = "CMC@5", "Share of queries with a relevant item in the first 5."
    CMC10 = "CMC@10", "Share of queries with a relevant item in the first 10."
    MAP_AT_100 = (
        "mAP@100",
        "Mean of Σ prec@r · rel_r / min(R, 100) over the first 100 ranks, as in the second Google landmarks benchmark.",
    )
    NDCG10 = (
        "nDCG@10",
        "Mean gain of the first 10 items (a judgement's grade over log2(1 + rank)) over that of the best order.",
    )
    RECALL10 = "recall@10", "Mean share of a query's relevant items that are in the first 10."
    RECALL100 = "recall@100", "Mean share of a query's relevant items that are in the first 100."
    MRR10 = "MRR@10", "Mean of 1 / rank of the first relevant item, 0 beyond rank 10."
    CROSS_GAIN = "cross_gain", "M(n,o) − M(o,o): what queries gain on day one.", "cross gain"
    SHARED_GAIN = (
        "shared_gain",
        "M(n,o) − M(o,o) with the shared old model's M(o,o): the gain of a method that trains its own first generation "
        "on those who did not.",
        "gain on shared",
    )
    BACKFILL_GAIN = "backfill_gain", "M(n,n) − M(n,o): what re-embedding the gallery would still add."
    UPDATE_GAIN = (
        "update_gain",
        "Update gain (M(n,o) − M(o,o)) / (M(*,*) − M(o,o)): the share of the full backfill's gain that comes with no "
        "backfill. 1 is all of it, below 0 is a loss; undefined where M(*,*) ≤ M(o,o).",
        "Γ",
    )
    FINAL_SHARE = (
        "final_share",
        "Final share (M(n,n) − M(o,o)) / (M(*,*) − M(o,o)): the share of the full backfill's gain after the backfill. "
        "1 without a tax; undefined where M(*,*) ≤ M(o,o).",
        "Φ",
    )
    BACKFILL_SHARE = (
        "backfill_share",
        "Backfill share (mean over β of M(β) − M(o,o)) / (M(*,*) − M(o,o)): the share of the full backfill's gain on "
        "average while a backfill in random order runs, mean over orders; with the first day, the end and every dip "
        "between. Undefined where M(*,*) ≤ M(o,o).",
        "A",
    )
    TAX = "tax", "M(n,n) − M(*,*): what compatibility costs the new model; below 0 is a loss."
    CRITERION = "criterion", "Whether M(n,o) > M(o,o).", "compatible"
    ORDERING = "ordering", "Whether M(n,n) > M(n,o) > M(o,o).", "ordered"
    P_UP = (
        "P_up",
        "AdvBCT's score of what the new model keeps, 100·σ((M(n,n) − M(*,*)) / M(*,*)), σ the logistic function: 50 "
        "is no tax. Of this data set; their table has means over several.",
    )
    P_COMP = "P_comp", "AdvBCT's score of compatibility, 100·σ(Γ): 50 is no gain, 73 that of a full backfill."
    P_1 = "P_1", "AdvBCT's score of both: the harmonic mean of P_up and P_comp."
    RETENTION = "retention", "M(n,o) / M(*,*): the share of the full backfill's quality."
    OLD_RETENTION = "old_retention", "M(o,o) / M(*,*): the same of the status quo.", "retention, status quo"
    ORACLE_MEAN = (
        "oracle_mean",
        "Queries that know the answer: each is the normalised mean of its relevant items' old vectors. A map of the "
        "queries may reach more. Left out where each has one.",
        "oracle mean",
    )
    AC = (
        "AC",
        "Average Compatibility: the share of pairs i > j with M(i,j) ≥ M(j,j), so that a tie is no violation.",
    )
    AC_STRICT = "AC_strict", "AC where a tie is a violation too.", "AC, ties violate"
    AC_SIGNIFICANT = (
        "AC_significant",
        "AC where only those pairs violate whose 95% interval of M(i,j) − M(j,j) lies below 0. It rests on intervals "
        "and has none of its own.",
        "AC, significant",
    )
    AM = "AM", "Mean of the matrix's lower triangle with the diagonal."
    BC = "BC", "Mean of M(T,i) − M(i,i) over all older generations i: the newest queries on every old gallery."
    FC = "FC", "Mean of M(i,i−1) − M(i,i): what each generation lacks before its own backfill."
    NFR = (
        "NFR",
        "Negative flips at k: the share of all queries with a hit in the first k of the old system alone.",
    )
    PFR = "PFR", "Positive flips at k: the share of all queries with a hit in the first k of the new system alone."
    RELATIVE_NFR = (
        "relative_NFR",
        "Negative flips at k as a share of the queries with a hit in the old system's first k.",
        "relative NFR",
    )
    TAR = "TAR", "Share of genuine pairs that a system accepts at its own threshold for a false accept rate."
    TRANSFER_TAR = (
        "transfer_TAR",
        "Share of genuine pairs that a system accepts at the old system's threshold for a false accept rate.",
        "TAR, old threshold",
    )
    TRANSFER_FAR = (
        "transfer_FAR",
        "Share of impostor pairs that a system accepts at the old system's threshold for a false accept rate.",
        "FAR, old threshold",
    )
    PAIR_ACCURACY = (
        "pair_accuracy",
        "Share of a list's pairs that are judged rightly, each fold at the best threshold of the others.",
        "accuracy of pairs",
    )
    TRANSFER_PAIR_ACCURACY = (
        "transfer_pair_accuracy",
        "Accuracy of pairs at the threshold of the gallery's own model.",
        "accuracy of pairs, old threshold",
    )
    PAIR_TAR = "pair_TAR", "Share of a list's same pairs that are accepted at a false accept rate.", "TAR of pairs"
    TRANSFER_PAIR_TAR = (
        "transfer_pair_TAR",
        "The same at the threshold of the gallery's own model.",
        "TAR of pairs, old threshold",
    )
    BACKFILL_AREA = (
        "backfill_area",
        "Area under M(β), β the share of new vectors in the gallery: the mean in the course of a backfill.",
        "area",
    )
    BACKFILL_MIN = "backfill_min", "The lowest M(β) of a backfill.", "minimum"
    BACKFILL_CROSSING = (
        "backfill_crossing",
        "The smallest β from which on M(β) stays above M(o,o); undefined if it ends at or below.",
        "crossing",
    )
    CHANCE = "chance", "Mean and range of a score under random orthogonal maps of the query vectors."
    CHANCE_SPREAD = "chance_spread", "Standard deviation of that score over the maps."
    CHANCE_SKEW = "chance_skew", "Skewness of that score over the maps."
    CHANCE_CROSS = "chance_cross", "That score without a map, on the same sample of queries and gallery."

    def of(self, *parts: str) -> str:
        """The number of a metric, and of an order or a protocol if there is one: `tax:mAP`, `mAP:hard`."""
        return ":".join((self, *parts))

    def at(self, k: int) -> str:
        """The number of the first `k` items: `NFR@1`."""
        return f"{self}@{k}"

    def at_rate(self, rate: float) -> str:
        """The number at a false accept rate: `TAR@FAR=0.001`."""
        return f"{self}@FAR={rate:g}"


RANKED_BY = {
    MetricName.BACKFILL_SHARE: MetricName.UPDATE_GAIN,
    MetricName.UPDATE_GAIN: MetricName.TAX,
    MetricName.FINAL_SHARE: MetricName.UPDATE_GAIN,
}
"""The numbers that rank, the default first, each with the one that decides between equals.

A for readers who backfill over time, Γ for those who never do, Φ for those who wait until it is done.
"""
DERIVED_FROM = (MetricName.MAP, MetricName.CMC1)
"""The retrieval numbers that compatibility numbers are made of, and that curves are drawn of; the first one ranks."""

_LOWER = (MetricName.NFR, MetricName.RELATIVE_NFR, MetricName.TRANSFER_FAR, MetricName.BACKFILL_CROSSING)


def lower_is_better(name: str) -> bool:
    """Whether less is better of a number of this name, with all that follows a colon or an @."""
    return name.partition(":")[0].partition("@")[0] in _LOWER
