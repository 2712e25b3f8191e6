//! The multiplication of two matrices of 150 by 150 integers, the same code for every system. It is naive.

/// Rows and columns.
const SIZE: usize = 150;
/// A matrix.
pub type Matrix = [[i32; SIZE]; SIZE];

/// Multiplies the first two of three matrices; the third is the product.
#[inline(never)]
pub fn multiply(matrices: &mut [Matrix; 3]) {
    let [a, b, product] = matrices;
    for (row, of_product) in a.iter().zip(product) {
        for (column, element) in of_product.iter_mut().enumerate() {
            *element = row.iter().zip(b.iter()).fold(0, |sum: i32, (a, b)| sum.wrapping_add(a.wrapping_mul(b[column])));
        }
    }
}

/// What is multiplied.
pub fn fill([a, b, _]: &mut [Matrix; 3]) {
    for (row, (of_a, of_b)) in a.iter_mut().zip(b).enumerate() {
        for (column, (in_a, in_b)) in of_a.iter_mut().zip(of_b).enumerate() {
            *in_a = (row + column) as i32;
            *in_b = (row * 3) as i32 - column as i32;
        }
    }
}

/// A number that the product determines.
pub fn sum(matrices: &[Matrix; 3]) -> i32 {
    matrices[2].iter().flatten().fold(0, |sum: i32, element| sum.wrapping_mul(31).wrapping_add(*element))
}
