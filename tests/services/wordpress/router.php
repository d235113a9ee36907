<?php
// What a rewrite rule does elsewhere: files and folders as they lie, every other address to WordPress.
$root = $_SERVER['DOCUMENT_ROOT'];
$path = realpath( $root . rawurldecode( (string) parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) ) );
if ( $path && $path !== $root && 0 === strpos( $path, "$root/" ) && ( is_file( $path ) || is_file( "$path/index.php" ) ) ) {
	return false;
}
foreach ( array( 'SCRIPT_NAME' => '/index.php', 'PHP_SELF' => '/index.php', 'SCRIPT_FILENAME' => "$root/index.php" ) as $name => $value ) {
	$_SERVER[ $name ] = $value;
}
chdir( $root );
require "$root/index.php";
