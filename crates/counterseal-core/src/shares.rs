//! Shamir over GF(256) in the holders' tree of docs/protocol.md section 2.
//!
//! Secrets never index a table and never decide a branch: multiplication is eight masked steps, and
//! only positions, which are public, are inverted.

use crate::cbor::{self, list, tag};
use crate::error::{Error, Result};
use crate::label::{Prk, expand_into};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Secret = Zeroizing<[u8; 32]>;

/// `[[needed, [[threshold, members], ...]], [w, W]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    pub needed: u8,
    /// (threshold, members) of each custodian body, in charter order.
    pub bodies: Vec<(u8, u8)>,
    pub witnesses_needed: u8,
    pub witnesses: u8,
}

impl Tree {
    /// Errors: E1 to E7, and S4 for a tree that nobody could satisfy.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let [custodians, witnesses] = cbor::decode(bytes, 2048)?.array("tree")?;
        let [needed, bodies] = custodians.array("tree.custodians")?;
        let mut parsed = Vec::new();
        for body in bodies.items("tree.bodies")? {
            let [threshold, members] = body.array("tree.body")?;
            parsed.push(quorum(threshold.uint("tree.threshold")?, members.uint("tree.members")?)?);
        }
        let (needed, _) = quorum(needed.uint("tree.needed")?, parsed.len() as u64)?;
        let [w, all] = witnesses.array("tree.witnesses")?;
        let (witnesses_needed, witnesses) = quorum(w.uint("tree.w")?, all.uint("tree.W")?)?;
        Ok(Self { needed, bodies: parsed, witnesses_needed, witnesses })
    }

    pub fn encode(&self) -> Vec<u8> {
        let bodies: Vec<_> =
            self.bodies.iter().map(|(t, m)| list![u64::from(*t), u64::from(*m)]).collect();
        cbor::encode(&list![
            list![u64::from(self.needed), bodies],
            list![u64::from(self.witnesses_needed), u64::from(self.witnesses)],
        ])
    }

    /// The number of holders: one position each.
    pub fn positions(&self) -> usize {
        self.bodies.iter().map(|(_, members)| usize::from(*members)).sum::<usize>()
            + usize::from(self.witnesses)
    }
}

fn quorum(threshold: u64, members: u64) -> Result<(u8, u8)> {
    match (u8::try_from(threshold), u8::try_from(members)) {
        (Ok(t), Ok(m)) if t > 0 && m > 0 && t <= m => Ok((t, m)),
        (Ok(t), Ok(m)) if t > 0 && m > 0 => {
            Err(Error::new("S4", "a node of the tree asks for more shares than it hands out"))
        }
        _ => Err(Error::new("E6", "tree: thresholds and numbers of members are 1 to 255")),
    }
}

/// One share for each position, in order. Errors: none for a decoded tree.
pub fn split(tree: &Tree, prk: &Prk) -> Result<Vec<Secret>> {
    let mut root = split_node(prk, prk, &[], 2, 2)?;
    let (witnesses_value, custodians_value) = match (root.pop(), root.pop()) {
        (Some(second), Some(first)) => (second, first),
        _ => return Err(Error::new("fatal", "the root has two children")),
    };
    let bodies = split_node(prk, &custodians_value, &[0], tree.needed, tree.bodies.len())?;
    let mut shares = Vec::with_capacity(tree.positions());
    for (j, (value, (threshold, members))) in bodies.iter().zip(&tree.bodies).enumerate() {
        shares.extend(split_node(prk, value, &[0, j as u64], *threshold, usize::from(*members))?);
    }
    shares.extend(split_node(
        prk,
        &witnesses_value,
        &[1],
        tree.witnesses_needed,
        usize::from(tree.witnesses),
    )?);
    Ok(shares)
}

/// The values at x = 1 .. `children` of the polynomial with constant term `secret` and the node's
/// own coefficients.
fn split_node(
    prk: &Prk,
    secret: &Secret,
    path: &[u64],
    threshold: u8,
    children: usize,
) -> Result<Vec<Secret>> {
    let path: Vec<_> = path.iter().map(|index| (*index).into()).collect();
    let mut coefficients = Zeroizing::new(vec![0u8; 32 * (usize::from(threshold) - 1)]);
    if threshold > 1 {
        expand_into(prk, &list![tag!("shares"), path], &mut coefficients)?;
    }
    let evaluate = |x: u8| {
        let mut sum: Secret = Zeroizing::new([0; 32]);
        // Horner's rule, highest degree first.
        for block in coefficients.chunks_exact(32).rev() {
            for (s, c) in sum.iter_mut().zip(block) {
                *s = multiply(*s ^ c, x);
            }
        }
        sum.iter_mut().zip(secret.iter()).for_each(|(s, c)| *s ^= c);
        sum
    };
    Ok((1..=children).map(|x| evaluate(x as u8)).collect())
}

/// `prk` from the shares of a quorum or more; each is (position, 32 bytes).
///
/// Errors: S4 when they are no quorum, when a position is out of range or stands twice, and when
/// more than a quorum is given and they do not all lie on the same polynomials.
pub fn join(tree: &Tree, shares: &[(usize, [u8; 32])]) -> Result<Prk> {
    let mut at: Vec<Option<&[u8; 32]>> = vec![None; tree.positions()];
    for (position, share) in shares {
        match at.get_mut(*position) {
            Some(slot @ None) => *slot = Some(share),
            Some(_) => {
                return Err(Error::new("S4", format!("position {position} is given twice")));
            }
            None => {
                return Err(Error::new("S4", format!("the tree has no position {position}")));
            }
        }
    }
    let mut from = 0;
    let mut bodies: Vec<(u8, Secret)> = Vec::new();
    for (j, (threshold, members)) in tree.bodies.iter().enumerate() {
        let to = from + usize::from(*members);
        if let Some(value) = join_node(*threshold, &points(&at[from..to]))? {
            bodies.push((j as u8 + 1, value));
        }
        from = to;
    }
    let custodians = join_node(tree.needed, &bodies)?.ok_or_else(|| {
        Error::new("S4", format!("{} of {} needed bodies have a quorum", bodies.len(), tree.needed))
    })?;
    let witnesses = points(&at[from..]);
    let count = witnesses.len();
    let witnesses = join_node(tree.witnesses_needed, &witnesses)?.ok_or_else(|| {
        Error::new("S4", format!("{count} of {} needed witnesses", tree.witnesses_needed))
    })?;
    Ok(interpolate(&[(1, custodians), (2, witnesses)], 0))
}

fn points(slots: &[Option<&[u8; 32]>]) -> Vec<(u8, Secret)> {
    let present = slots.iter().enumerate();
    present
        .filter_map(|(i, share)| share.map(|share| (i as u8 + 1, Zeroizing::new(*share))))
        .collect()
}

/// The node's value, or `None` below its threshold. Errors: S4 when a surplus share is not on the
/// polynomial.
fn join_node(threshold: u8, points: &[(u8, Secret)]) -> Result<Option<Secret>> {
    let Some((base, surplus)) = points.split_at_checked(usize::from(threshold)) else {
        return Ok(None);
    };
    for (x, share) in surplus {
        if !bool::from(interpolate(base, *x).ct_eq(share.as_slice())) {
            return Err(Error::new(
                "S4",
                "more shares than a quorum, and they contradict each other",
            ));
        }
    }
    Ok(Some(interpolate(base, 0)))
}

/// The value at `x` of the polynomial through `points`.
fn interpolate(points: &[(u8, Secret)], x: u8) -> Secret {
    let mut sum: Secret = Zeroizing::new([0; 32]);
    for (xi, share) in points {
        let others = points.iter().map(|(xj, _)| *xj).filter(|xj| xj != xi);
        let weight = others.fold(1, |w, xj| multiply(w, multiply(x ^ xj, invert(xi ^ xj))));
        sum.iter_mut().zip(share.iter()).for_each(|(s, y)| *s ^= multiply(*y, weight));
    }
    sum
}

/// Product in GF(256) modulo x^8 + x^4 + x^3 + x + 1, without a table or a branch.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0u8.wrapping_sub((b >> bit) & 1);
        let carry = 0u8.wrapping_sub(a >> 7);
        a = (a << 1) ^ (carry & 0x1b);
    }
    product
}

/// a^254, the inverse of a non-zero element.
fn invert(a: u8) -> u8 {
    let mut result = 1;
    let mut power = a;
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree { needed: 2, bodies: vec![(1, 1), (2, 3), (1, 2)], witnesses_needed: 2, witnesses: 3 }
    }

    fn take(shares: &[Secret], positions: &[usize]) -> Vec<(usize, [u8; 32])> {
        positions.iter().map(|p| (*p, *shares[*p])).collect()
    }

    #[test]
    fn field_has_inverses_and_known_products() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1);
        }
    }

    #[test]
    fn every_quorum_joins_and_nothing_less() {
        let prk = Zeroizing::new([7; 32]);
        let shares = split(&tree(), &prk).unwrap();
        assert_eq!(shares.len(), 9);
        for set in 0u32..512 {
            let chosen: Vec<usize> = (0..9).filter(|p| set >> p & 1 == 1).collect();
            let count =
                |range: std::ops::Range<usize>| chosen.iter().filter(|p| range.contains(p)).count();
            let bodies = [count(0..1) >= 1, count(1..4) >= 2, count(4..6) >= 1];
            let quorum = bodies.iter().filter(|b| **b).count() >= 2 && count(6..9) >= 2;
            match join(&tree(), &take(&shares, &chosen)) {
                Ok(joined) => assert!(quorum && joined == prk, "{chosen:?}"),
                Err(error) => assert!(!quorum && error.code == "S4", "{chosen:?}"),
            }
        }
    }

    #[test]
    fn s4_refuses_contradiction_repetition_and_foreign_positions() {
        let shares = split(&tree(), &Zeroizing::new([9; 32])).unwrap();
        let mut surplus = take(&shares, &[0, 1, 2, 3, 6, 7]);
        surplus[3].1[0] ^= 1;
        assert_eq!(join(&tree(), &surplus).unwrap_err().code, "S4");
        assert_eq!(join(&tree(), &take(&shares, &[0, 0, 4, 6, 7])).unwrap_err().code, "S4");
        assert_eq!(join(&tree(), &[(9, [0; 32])]).unwrap_err().code, "S4");
    }

    #[test]
    fn trees_are_decoded_strictly() {
        assert_eq!(Tree::decode(&tree().encode()).unwrap(), tree());
        let spoiled = |needed, body, witness: (u8, u8)| Tree {
            needed,
            bodies: vec![body],
            witnesses_needed: witness.0,
            witnesses: witness.1,
        };
        for (bad, rule) in [
            (spoiled(0, (1, 1), (1, 1)), "E6"),
            (spoiled(1, (0, 1), (1, 1)), "E6"),
            (spoiled(2, (1, 1), (1, 1)), "S4"),
            (spoiled(1, (2, 1), (1, 1)), "S4"),
            (spoiled(1, (1, 1), (2, 1)), "S4"),
        ] {
            assert_eq!(Tree::decode(&bad.encode()).unwrap_err().code, rule);
        }
    }
}
