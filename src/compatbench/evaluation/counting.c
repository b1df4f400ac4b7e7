/* Counting for exact scoring and backfill curves, which read every score once. `compiled.py` calls it, and numpy
   counts the same where there was no C compiler. Scores and thresholds are finite. */

#include <stdint.h>
#include <stdlib.h>

#define CELLS 8     /* for each threshold: enough that hardly two share one, few enough for the cache */
#define MORE 4096   /* as many at most where thresholds are few and scores are many */
#define TILE 512    /* scores whose cells are computed together */

/* Thresholds are dropped into cells by a function of the score that never falls, rounding included. */
typedef struct {
    int32_t passed;     /* thresholds in lower cells; ~passed, which is negative, if this one has several */
    float threshold;    /* the only one in this cell, else infinity */
} Cell;

typedef struct {
    const float *rising;
    int32_t number;
    int32_t top;
    float scale, shift;
    Cell *cells;        /* top + 2 */
} Table;

static int32_t top_of(int64_t number, int64_t items)
{
    int64_t more = items / CELLS < MORE ? items / CELLS : MORE, cells = CELLS * number;
    return (int32_t)(cells > more ? cells : more);
}

static inline int32_t cell_of(const Table *table, float score)
{
    float place = score * table->scale + table->shift, top = (float)table->top;
    place = place > 0 ? place : 0;
    return (int32_t)(place < top ? place : top);
}

static void fill(Table *table, const float *rising, int64_t number)
{
    /* a near copy of a query may score far above all else, and would leave the others few cells */
    float span = rising[number - 1 - number / 32] - rising[0];
    Cell *cells = table->cells;
    table->rising = rising;
    table->number = (int32_t)number;
    table->scale = (float)(table->top - 2) / (span > 1e-20f ? span : 1e-20f);
    table->shift = 1 - rising[0] * table->scale;
    for (int32_t i = 0; i < table->top + 2; i++) cells[i] = (Cell){0, __builtin_inff()};
    for (int32_t i = 0; i < table->number; i++) {
        Cell *own = cells + cell_of(table, rising[i]);
        own->threshold = own->passed++ ? __builtin_inff() : rising[i];
    }
    for (int32_t i = 0, passed = 0; i < table->top + 2; i++) {
        int32_t held = cells[i].passed;
        cells[i].passed = held > 1 ? ~passed : passed;
        passed += held;
    }
}

/* Thresholds that a score in the cell `place` reaches. */
static inline int32_t reached(const Table *table, int32_t place, float score)
{
    Cell cell = table->cells[place];
    int32_t found = cell.passed + (score >= cell.threshold);
    if (__builtin_expect(found >= 0, 1)) return found;
    int32_t low = ~cell.passed, high = table->cells[place + 1].passed;
    high = high < 0 ? ~high : high;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (table->rising[middle] <= score) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* ahead[b, p] = #{n: scores[b, n] >= rising[b, p]} for (rows, items) scores, `stride` apart, and (rows, number)
   thresholds. All scores reach `floor`, and the thresholds up to it would only widen the cells. Returns 1 where memory
   is missing. */
int count_ahead(const float *scores, int64_t rows, int64_t items, int64_t stride, const float *rising, int64_t number,
                float floor, int32_t *ahead)
{
    Table table = {.top = top_of(number, items)};
    int32_t *even = malloc(sizeof(int32_t) * 2 * (number + 1)), *odd = even + number + 1;
    table.cells = malloc(sizeof(Cell) * (table.top + 2));
    int missing = !even || !table.cells;
    for (int64_t row = 0; row < rows && !missing; row++, scores += stride, rising += number, ahead += number) {
        int64_t low = 0;
        for (; low < number && rising[low] <= floor; low++) ahead[low] = (int32_t)items;
        if (low == number) continue;
        fill(&table, rising + low, number - low);
        for (int64_t i = 0; i < 2 * (number + 1); i++) even[i] = 0;
        for (int64_t first = 0; first < items; first += TILE) {
            int32_t places[TILE];
            const float *tile = scores + first;
            int64_t held = items - first < TILE ? items - first : TILE, i = 0;
            for (int64_t j = 0; j < held; j++) places[j] = cell_of(&table, tile[j]);
            for (; i + 1 < held; i += 2) {  /* two counters of one number: a count need not wait for the last */
                int32_t one = reached(&table, places[i], tile[i]), other = reached(&table, places[i + 1], tile[i + 1]);
                even[one]++;
                odd[other]++;
            }
            if (i < held) even[reached(&table, places[i], tile[i])]++;
        }
        int32_t sum = 0;
        for (int64_t i = number - low; i > 0; i--) ahead[low + i - 1] = sum += even[i] + odd[i];
    }
    free(table.cells);
    free(even);
    return missing;
}

/* higher[b, n] = #{p: rising[b, p] > scores[b, n]}. Returns 1 where memory is missing. */
int count_above(const float *scores, int64_t rows, int64_t items, const float *rising, int64_t number, int32_t *higher)
{
    Table table = {.top = top_of(number, items)};
    if (!(table.cells = malloc(sizeof(Cell) * (table.top + 2)))) return 1;
    for (int64_t row = 0; row < rows; row++, scores += items, rising += number, higher += items) {
        fill(&table, rising, number);
        for (int64_t i = 0; i < items; i++) higher[i] = cell_of(&table, scores[i]);
        for (int64_t i = 0; i < items; i++) higher[i] = table.number - reached(&table, higher[i], scores[i]);
    }
    free(table.cells);
    return 0;
}

/* One backfill: items (N) get their new vectors at `steps`. An item's old and new score are in the `intervals`
   (rows, 2, N) between the thresholds, the highest first. Threshold t is in place from step since[b, t] on if
   is_new[b, t], and before it otherwise. precision (rows, S, T) of the thresholds in place, 0 of others; first
   (rows, S): irrelevant items ahead of the first in place. Returns 1 where memory is missing. */
int precision_by_step(const int32_t *intervals, const int32_t *steps, const int32_t *since, const uint8_t *is_new,
                      int64_t rows, int64_t items, int64_t number, int64_t thresholds, float *precision,
                      int32_t *first)
{
    int64_t width = thresholds + 1;
    int32_t *table = malloc(sizeof(int32_t) * number * width), *ranks = malloc(sizeof(int32_t) * 2 * thresholds);
    int missing = !table || !ranks;
    for (int64_t row = 0; row < rows && !missing; row++) {
        const int32_t *old = intervals + 2 * row * items, *new = old + items;
        for (int64_t i = 0; i < number * width; i++) table[i] = 0;
        for (int64_t i = 0; i < items; i++) {
            int32_t *come = table + steps[i] * width;
            table[old[i]]++;
            come[old[i]]--;
            come[new[i]]++;
        }
        for (int64_t step = 0; step < number; step++, first++, precision += thresholds) {
            int32_t *now = table + step * width, *order = ranks, *rank = ranks + thresholds, ahead = 0, place = 0;
            if (step)
                for (int64_t i = 0; i < width; i++) now[i] += now[i - width];
            for (int64_t i = 0; i < thresholds; i++) {
                int32_t in_place = (since[i] <= step) == is_new[i];
                ahead += now[i];
                place += in_place;
                order[i] = -in_place & place;
                rank[i] = ahead + place > 1 ? ahead + place : 1;
            }
            for (int64_t i = 0; i < thresholds; i++) precision[i] = (float)order[i] / (float)rank[i];
            int64_t top = 0;
            while (top + 1 < thresholds && !order[top]) top++;  /* one of a relevant item's two scores is in place */
            *first = rank[top] - 1;
        }
        since += thresholds;
        is_new += thresholds;
    }
    free(ranks);
    free(table);
    return missing;
}
